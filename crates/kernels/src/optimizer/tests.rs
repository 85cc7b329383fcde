use super::*;
use crate::testing::{close, same_for_any_threads, values, var, wide};

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
fn a_resumed_optimizer_goes_on_to_the_same_bits() {
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
fn a_state_of_other_parameters_is_an_error_that_changes_nothing() {
    let (p, q) = (var(&[2], 1), var(&[3], 2));
    let vars = || vec![("p".to_owned(), p.clone()), ("q".to_owned(), q.clone())];
    let mut sgd = Sgd::new(vars(), 0.9, 0.0);
    sgd.step(&gradients(&p, &[1.0, 2.0]), 0.1).unwrap();
    let error = sgd.load_state(&[]).unwrap_err().to_string();
    assert!(error.contains("an entry `p.momentum`"), "{error}");
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let state = [("p.momentum".to_owned(), zeros(&[2])), ("q.momentum".to_owned(), zeros(&[4]))];
    let error = sgd.load_state(&state).unwrap_err().to_string();
    assert!(error.contains("`q.momentum` of shape [3]") && error.contains("shape [4]"), "{error}");
    assert_eq!(wide(&sgd.state().unwrap()[0].1), [1.0, 2.0]);

    let mut adam = Adam::new(vars());
    adam.step(&gradients(&p, &[1.0, 2.0]), 0.1).unwrap();
    let before = adam.state().unwrap();
    for (at, value) in
        [(4, Tensor::new(1.5f32, &Device::Cpu)), (4, Tensor::new(-1f32, &Device::Cpu)), (0, Tensor::new(1f32, &Device::Cpu))]
    {
        let mut state = before.clone();
        state[at].1 = value.unwrap();
        assert!(adam.load_state(&state).is_err());
    }
    for ((_, before), (_, after)) in before.iter().zip(adam.state().unwrap()) {
        assert_eq!(wide(before), wide(&after));
    }
}

#[test]
fn large_parameters_are_shared_out_between_threads() {
    same_for_any_threads(|| {
        let (p, q) = (var(&[3, PART], 1), var(&[3, PART], 1));
        let mut sgd = Sgd::new(vec![("p".into(), p.clone())], 0.9, 0.01);
        let mut adam = Adam::new(vec![("q".into(), q.clone())]);
        for step in 0..2 {
            let g = values(3 * PART, step);
            sgd.step(&gradients(&p, &g), 0.1).unwrap();
            adam.step(&gradients(&q, &g), 0.1).unwrap();
        }
        // The same as for a small parameter: the tail of a part is not forgotten.
        let small = Var::from_vec(values(3 * PART, 1)[3 * PART - 5..].to_vec(), 5, &Device::Cpu).unwrap();
        let mut alone = Sgd::new(vec![("p".into(), small.clone())], 0.9, 0.01);
        for step in 0..2 {
            alone.step(&gradients(&small, &values(3 * PART, step)[3 * PART - 5..]), 0.1).unwrap();
        }
        assert_eq!(wide(&p)[3 * PART - 5..], wide(&small));
        vec![p.as_tensor().clone(), q.as_tensor().clone()]
    });
}

#[test]
fn views_of_a_parameter_see_the_step() {
    let p = var(&[4], 1);
    let view = p.as_tensor().detach();
    Sgd::new(vec![("p".into(), p.clone())], 0.0, 0.0).step(&gradients(&p, &[1.0; 4]), 0.5).unwrap();
    assert_eq!(wide(&view), wide(&p));
}

#[test]
fn impossible_steps_are_errors() {
    let p = var(&[2], 1);
    let g = gradients(&p, &[1.0, 1.0]);
    let start = wide(&p);
    for rate in [f64::NAN, f64::INFINITY, -0.1] {
        assert!(Sgd::new(vec![("p".into(), p.clone())], 0.9, 0.0).step(&g, rate).is_err());
        assert!(Adam::new(vec![("p".into(), p.clone())]).step(&g, rate).is_err());
    }
    assert_eq!(wide(&p), start);
    let wrong = Var::zeros(2, DType::F64, &Device::Cpu).unwrap();
    let g = wrong.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let error = Sgd::new(vec![("p".into(), wrong)], 0.9, 0.0).step(&g, 0.1).unwrap_err().to_string();
    assert!(error.contains("a parameter holds F64"), "{error}");
}
