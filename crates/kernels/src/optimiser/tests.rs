use super::*;
use crate::testing::{close, values, var, wide};

/// Gradients of sum(g * p), which are g.
fn gradients(var: &Var, g: &[f32]) -> candle_core::backprop::GradStore {
    let g = Tensor::from_slice(g, var.dims(), &Device::Cpu).unwrap();
    (var.as_tensor() * g).unwrap().sum_all().unwrap().backward().unwrap()
}

#[test]
fn sgd_follows_its_formula() {
    let p = var(&[7], 1);
    let (mut expected, mut velocity) = (wide(&p), vec![0.0; 7]);
    let mut sgd = Sgd::new(vec![("p".into(), p.clone())], 0.9, 0.01);
    for step in 0..5 {
        let g = values(7, 10 + step);
        sgd.step(&gradients(&p, &g), 0.1).unwrap();
        for i in 0..7 {
            velocity[i] = 0.9 * velocity[i] + f64::from(g[i]) + 0.01 * expected[i];
            expected[i] -= 0.1 * velocity[i];
        }
    }
    close(&p, &expected, 1e-6);
}

#[test]
fn adam_follows_its_formula() {
    let p = var(&[2, 3], 1);
    let (mut expected, mut m, mut v) = (wide(&p), vec![0.0; 6], vec![0.0; 6]);
    let mut adam = Adam::new(vec![("p".into(), p.clone())]);
    for step in 1..=5 {
        let g = values(6, 10 + step as u64);
        adam.step(&gradients(&p, &g), 0.01).unwrap();
        for i in 0..6 {
            let g = f64::from(g[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.999f64.powi(step)));
            expected[i] -= 0.01 * mh / (vh.sqrt() + 1e-8);
        }
    }
    close(&p, &expected, 1e-5);
}

#[test]
fn a_resumed_optimiser_goes_on_to_the_same_bits() {
    let start = values(5, 1);
    let run = |break_after: Option<u64>| {
        let p = Var::from_slice(&start, 5, &Device::Cpu).unwrap();
        let q = Var::from_slice(&start, 5, &Device::Cpu).unwrap();
        let vars = || (vec![("p".to_owned(), p.clone())], vec![("q".to_owned(), q.clone())]);
        let (mut sgd, mut adam) = (Sgd::new(vars().0, 0.9, 0.1), Adam::new(vars().1));
        for step in 0..6 {
            if break_after == Some(step) {
                let (sgd_state, adam_state) = (sgd.state().unwrap(), adam.state().unwrap());
                (sgd, adam) = (Sgd::new(vars().0, 0.9, 0.1), Adam::new(vars().1));
                sgd.load_state(&sgd_state).unwrap();
                adam.load_state(&adam_state).unwrap();
            }
            sgd.step(&gradients(&p, &values(5, step)), 0.1).unwrap();
            adam.step(&gradients(&q, &values(5, step)), 0.1).unwrap();
        }
        [wide(&p), wide(&q)]
    };
    assert_eq!(run(None), run(Some(3)));
}

#[test]
fn a_state_of_other_parameters_is_an_error() {
    let mut sgd = Sgd::new(vec![("p".into(), var(&[2], 1))], 0.9, 0.0);
    let error = sgd.load_state(&[]).unwrap_err().to_string();
    assert!(error.contains("an entry `p.momentum`"), "{error}");
    let wrong = Sgd::new(vec![("p".into(), var(&[3], 1))], 0.9, 0.0).state().unwrap();
    assert!(sgd.load_state(&wrong).unwrap_err().to_string().contains("2 elements"));
}
