//! Optimizers on a device: the same steps as on the CPU, and a state that the CPU can read.

use super::{close, device, elements};
use brainprior_kernels::{Adam, Sgd, SgdConfig};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::Optimizer;

const SHAPE: [usize; 2] = [300, 7];

fn values(seed: u32) -> Tensor {
    let values: Vec<f32> =
        (0..2100u32).map(|index| ((index * 37 + seed * 101) % 997) as f32 / 500.0 - 1.0).collect();
    Tensor::from_vec(values, &SHAPE, &Device::Cpu).unwrap()
}

/// Gradients of sum(g * p), which are g.
fn gradients(var: &Var, seed: u32) -> GradStore {
    let g = values(seed).to_device(var.device()).unwrap();
    (var.as_tensor() * g).unwrap().sum_all().unwrap().backward().unwrap()
}

/// Five steps, interrupted after some and resumed from the saved state.
fn descend(device: &Device, break_after: Option<u32>) -> [Tensor; 3] {
    let parameters = || Var::from_tensor(&values(0).to_device(device).unwrap()).unwrap();
    let (p, q) = (parameters(), parameters());
    let config = SgdConfig { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.01 };
    let sgd_of = || Sgd::named(vec![("p".to_owned(), p.clone())], config);
    let adam_of = || Adam::named(vec![("q".to_owned(), q.clone())], 0.01);
    let (mut sgd, mut adam) = (sgd_of(), adam_of());
    for step in 0..5 {
        if break_after == Some(step) {
            let (sgd_state, adam_state) = (sgd.state().unwrap(), adam.state().unwrap());
            (sgd, adam) = (sgd_of(), adam_of());
            sgd.load_state(&sgd_state).unwrap();
            adam.load_state(&adam_state).unwrap();
        }
        sgd.step(&gradients(&p, step + 1)).unwrap();
        adam.step(&gradients(&q, step + 1)).unwrap();
    }
    let state = sgd.state().unwrap();
    assert!(state[0].1.device().is_cpu());
    [p.as_tensor().clone(), q.as_tensor().clone(), state[0].1.clone()]
}

#[test]
fn optimizers_take_the_steps_of_the_cpu() {
    let Some(device) = device("optimizers") else { return };
    let (found, expected) = (descend(&device, None), descend(&Device::Cpu, None));
    for (found, expected) in found.iter().zip(&expected) {
        close("after five steps", found, expected, 1e-5);
    }
    for (found, again) in found.iter().zip(&descend(&device, Some(3))) {
        assert_eq!(elements(found), elements(again), "interrupted and resumed");
    }
}
