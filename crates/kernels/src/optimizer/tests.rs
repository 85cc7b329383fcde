use super::*;
use crate::testing::{close, same_for_any_threads, values, var, wide};
use candle_core::backprop::GradStore;
use candle_nn::{Module, Optimizer, VarBuilder, VarMap};

fn sgd_config(momentum: f64, weight_decay: f64) -> SgdConfig {
    SgdConfig { learning_rate: 0.0, momentum, weight_decay }
}

/// A step with the given learning rate.
fn stepped(
    optimizer: &mut impl Optimizer,
    gradients: &GradStore,
    learning_rate: f64,
) -> Result<()> {
    optimizer.set_learning_rate(learning_rate);
    optimizer.step(gradients)
}

/// Gradients of sum(g * p), which are g.
fn gradients(var: &Var, g: &[f32]) -> GradStore {
    let g = Tensor::from_slice(g, var.dims(), &Device::Cpu).unwrap();
    (var.as_tensor() * g).unwrap().sum_all().unwrap().backward().unwrap()
}

#[test]
fn sgd_follows_its_formula() {
    let p = var(&[7], 1);
    let (mut expected, mut velocity) = (wide(&p), vec![0.0; 7]);
    let mut sgd = Sgd::named(vec![("p".into(), p.clone())], sgd_config(0.9, 0.01));
    for step in 0..5 {
        let g = values(7, 10 + step);
        stepped(&mut sgd, &gradients(&p, &g), 0.1).unwrap();
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
    let mut adam = Adam::named(vec![("p".into(), p.clone())], 0.0);
    for step in 1..=5 {
        let g = values(6, 10 + step as u64);
        stepped(&mut adam, &gradients(&p, &g), 0.01).unwrap();
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
        let (mut sgd, mut adam) =
            (Sgd::named(vars().0, sgd_config(0.9, 0.1)), Adam::named(vars().1, 0.0));
        for step in 0..6 {
            if break_after == Some(step) {
                let (sgd_state, adam_state) = (sgd.state().unwrap(), adam.state().unwrap());
                (sgd, adam) =
                    (Sgd::named(vars().0, sgd_config(0.9, 0.1)), Adam::named(vars().1, 0.0));
                sgd.load_state(&sgd_state).unwrap();
                adam.load_state(&adam_state).unwrap();
            }
            stepped(&mut sgd, &gradients(&p, &values(5, step)), 0.1).unwrap();
            stepped(&mut adam, &gradients(&q, &values(5, step)), 0.1).unwrap();
        }
        [wide(&p), wide(&q)]
    };
    assert_eq!(run(None), run(Some(3)));
}

#[test]
fn a_state_of_other_parameters_is_an_error_that_changes_nothing() {
    let (p, q) = (var(&[2], 1), var(&[3], 2));
    let vars = || vec![("p".to_owned(), p.clone()), ("q".to_owned(), q.clone())];
    let mut sgd = Sgd::named(vars(), sgd_config(0.9, 0.0));
    stepped(&mut sgd, &gradients(&p, &[1.0, 2.0]), 0.1).unwrap();
    let error = sgd.load_state(&[]).unwrap_err().to_string();
    assert!(error.contains("an entry `p.momentum`"), "{error}");
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let state = [("p.momentum".to_owned(), zeros(&[2])), ("q.momentum".to_owned(), zeros(&[4]))];
    let error = sgd.load_state(&state).unwrap_err().to_string();
    assert!(error.contains("`q.momentum` of shape [3]") && error.contains("shape [4]"), "{error}");
    assert_eq!(wide(&sgd.state().unwrap()[0].1), [1.0, 2.0]);

    let mut adam = Adam::named(vars(), 0.0);
    stepped(&mut adam, &gradients(&p, &[1.0, 2.0]), 0.1).unwrap();
    let before = adam.state().unwrap();
    for (at, value) in [
        (4, Tensor::new(1.5f32, &Device::Cpu)),
        (4, Tensor::new(-1f32, &Device::Cpu)),
        (0, Tensor::new(1f32, &Device::Cpu)),
    ] {
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
        let mut sgd = Sgd::named(vec![("p".into(), p.clone())], sgd_config(0.9, 0.01));
        let mut adam = Adam::named(vec![("q".into(), q.clone())], 0.0);
        for step in 0..2 {
            let g = values(3 * PART, step);
            stepped(&mut sgd, &gradients(&p, &g), 0.1).unwrap();
            stepped(&mut adam, &gradients(&q, &g), 0.1).unwrap();
        }
        // The same as for a small parameter: the tail of a part is not skipped.
        let small =
            Var::from_vec(values(3 * PART, 1)[3 * PART - 5..].to_vec(), 5, &Device::Cpu).unwrap();
        let mut alone = Sgd::named(vec![("p".into(), small.clone())], sgd_config(0.9, 0.01));
        for step in 0..2 {
            stepped(&mut alone, &gradients(&small, &values(3 * PART, step)[3 * PART - 5..]), 0.1)
                .unwrap();
        }
        assert_eq!(wide(&p)[3 * PART - 5..], wide(&small));
        vec![p.as_tensor().clone(), q.as_tensor().clone()]
    });
}

#[test]
fn views_of_a_parameter_see_the_step() {
    let p = var(&[4], 1);
    let view = p.as_tensor().detach();
    stepped(
        &mut Sgd::named(vec![("p".into(), p.clone())], sgd_config(0.0, 0.0)),
        &gradients(&p, &[1.0; 4]),
        0.5,
    )
    .unwrap();
    assert_eq!(wide(&view), wide(&p));
}

#[test]
fn impossible_steps_are_errors() {
    let p = var(&[2], 1);
    let g = gradients(&p, &[1.0, 1.0]);
    let start = wide(&p);
    for rate in [f64::NAN, f64::INFINITY, -0.1] {
        assert!(
            stepped(&mut Sgd::named(vec![("p".into(), p.clone())], sgd_config(0.9, 0.0)), &g, rate)
                .is_err()
        );
        assert!(stepped(&mut Adam::named(vec![("p".into(), p.clone())], 0.0), &g, rate).is_err());
    }
    assert_eq!(wide(&p), start);
    let wrong = Var::zeros(2, DType::F64, &Device::Cpu).unwrap();
    let g = wrong.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let error = stepped(&mut Sgd::named(vec![("p".into(), wrong)], sgd_config(0.9, 0.0)), &g, 0.1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("a parameter holds F64"), "{error}");
}

/// The weights of a candle layer after some steps of `optimizer` towards outputs of zero.
fn of_a_candle_layer<O: Optimizer>(config: O::Config) -> Vec<f64> {
    let map = VarMap::new();
    let layer =
        candle_nn::linear(5, 3, VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu)).unwrap();
    let start = Tensor::from_vec(values(15, 1), (3, 5), &Device::Cpu).unwrap();
    map.data().lock().unwrap()["weight"].set(&start).unwrap();
    map.data().lock().unwrap()["bias"]
        .set(&Tensor::new(&[0.5f32, -0.25, 1.0], &Device::Cpu).unwrap())
        .unwrap();
    let mut optimizer = O::new(map.all_vars(), config).unwrap();
    let x = Tensor::from_vec(values(20, 2), (4, 5), &Device::Cpu).unwrap();
    let loss = || layer.forward(&x).unwrap().sqr().unwrap().mean_all().unwrap();
    let before = wide(&loss())[0];
    for _ in 0..20 {
        optimizer.backward_step(&loss()).unwrap();
    }
    assert!(wide(&loss())[0] < before);
    [wide(layer.weight()), wide(layer.bias().unwrap())].concat()
}

#[test]
fn layers_of_candle_are_trained_as_by_its_own_optimizers() {
    let config = SgdConfig { learning_rate: 0.05, momentum: 0.0, weight_decay: 0.0 };
    let adam = candle_nn::ParamsAdamW { lr: 0.01, weight_decay: 0.0, ..Default::default() };
    for (found, expected) in [
        (of_a_candle_layer::<Sgd>(config), of_a_candle_layer::<candle_nn::SGD>(0.05)),
        (of_a_candle_layer::<Adam>(0.01), of_a_candle_layer::<candle_nn::AdamW>(adam)),
    ] {
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} against {expected}");
        }
    }
}

#[test]
fn integers_of_a_network_are_left_alone() {
    let (p, steps) = (var(&[2], 1), Var::new(&[3u32], &Device::Cpu).unwrap());
    let mut sgd =
        Sgd::new(vec![steps, p.clone()], SgdConfig { learning_rate: 0.5, ..sgd_config(0.9, 0.0) })
            .unwrap();
    sgd.step(&gradients(&p, &[1.0, 1.0])).unwrap();
    assert_eq!(
        sgd.state().unwrap().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["0.momentum"]
    );
}
