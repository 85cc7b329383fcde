//! Every operation against PyTorch on fixed inputs: values and gradients in
//! `golden/ops.safetensors`, written by `golden/ops.py`.

use brainprior_kernels::{
    Activation, Adam, Conv2dGeometry, FixedStatistics, Sgd, SgdConfig, arctanh_squared_loss,
    area_pool, average_pool, batch_norm_eval, batch_norm_train, conv2d, cross_entropy, grid_sample,
    pair_cosine, point_readout,
};
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::Optimizer;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Largest difference, relative to the largest expected value.
const TOLERANCE: f32 = 2e-6;

type Tensors = BTreeMap<String, Tensor>;

/// Cases by name, each with its tensors.
fn golden() -> BTreeMap<String, Tensors> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ops.safetensors");
    let mut cases: BTreeMap<String, Tensors> = BTreeMap::new();
    for (name, tensor) in candle_core::safetensors::load(path, &Device::Cpu).unwrap() {
        let (case, part) = name.split_once('.').unwrap();
        cases.entry(case.to_owned()).or_default().insert(part.to_owned(), tensor);
    }
    cases
}

#[track_caller]
fn assert_close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let [found, expected] =
        [found, expected].map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    let scale = expected.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (found - expected).abs() <= TOLERANCE * scale,
            "{what}, element {index}: {found} instead of {expected}"
        );
    }
}

/// Runs the operation in the case's name on the case's inputs.
fn run(case: &str, input: &dyn Fn(&str) -> Tensor) -> Result<Tensor> {
    let mut words = case.split(' ');
    let operation = words.next().unwrap();
    let words: Vec<&str> = words.collect();
    let number =
        |word: usize| words[word].trim_start_matches(char::is_alphabetic).parse::<usize>().unwrap();
    let activation = || match words[0] {
        "identity" => Activation::Identity,
        "relu" => Activation::Relu,
        "elu" => Activation::Elu,
        other => panic!("no activation {other}"),
    };
    let residual = words.last() == Some(&"residual");
    let residual = residual.then(|| input("residual"));
    let eps = 1e-5;
    match operation {
        "conv2d" => {
            let [stride, padding, dilation, groups] = [0, 1, 2, 3].map(number);
            conv2d(
                &input("x"),
                &input("weight"),
                Conv2dGeometry { stride, padding, dilation, groups },
            )
        }
        "batch_norm_train" => {
            let (x, scale, shift) = (input("x"), input("scale"), input("shift"));
            batch_norm_train(&x, &scale, &shift, residual.as_ref(), activation(), eps)
                .map(|(y, _)| y)
        }
        "batch_norm_eval" => {
            let [x, scale, shift, mean, variance] =
                ["x", "scale", "shift", "mean", "variance"].map(input);
            batch_norm_eval(
                &x,
                &scale,
                &shift,
                FixedStatistics { mean: &mean, variance: &variance, eps },
                residual.as_ref(),
                activation(),
            )
        }
        "average_pool" => average_pool(&input("x"), number(0), number(1)),
        "area_pool" => area_pool(&input("x"), number(0)),
        "grid_sample" => grid_sample(&input("features"), &input("positions"), words[0] == "True"),
        "point_readout" => {
            point_readout(&input("features"), &input("positions"), &input("weights"))
        }
        "pair_cosine" => pair_cosine(&input("features"), &input("center")),
        "arctanh_squared_loss" => {
            arctanh_squared_loss(&input("similarity"), &input("target"), number(0) as f64)
        }
        "cross_entropy" => cross_entropy(&input("logits"), &input("labels")),
        other => panic!("no operation {other}"),
    }
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let mut operations = BTreeSet::new();
    for (case, tensors) in golden() {
        let Some(expected) = tensors.get("y") else { continue };
        let differentiated = |part: &str| tensors.contains_key(&format!("d_{part}"));
        let vars: BTreeMap<&String, Var> = tensors
            .iter()
            .filter(|(part, _)| differentiated(part))
            .map(|(part, at)| (part, Var::from_tensor(at).unwrap()))
            .collect();
        let input = |part: &str| match vars.get(&part.to_owned()) {
            Some(var) => var.as_tensor().clone(),
            None => tensors[part].clone(),
        };
        let y = run(&case, &input).unwrap();
        assert_close(&case, &y, expected);
        let gradients = (&y * &tensors["upstream"]).unwrap().sum_all().unwrap().backward().unwrap();
        for (part, var) in &vars {
            assert_close(
                &format!("{case}: gradient of {part}"),
                gradients.get(var).unwrap(),
                &tensors[&format!("d_{part}")],
            );
        }
        operations.insert(case.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(operations.len(), 10, "{operations:?}");
}

/// Takes the golden steps with `step`, which receives the variable and a loss with the step's
/// gradient.
fn follow(name: &str, step: &mut dyn FnMut(&Var, &Tensor) -> Result<()>, var: &Var) {
    let case = &golden()[name];
    var.set(&case["start"]).unwrap();
    for row in 0..case["path"].dim(0).unwrap() {
        let loss =
            (var.as_tensor() * case["gradients"].get(row).unwrap()).unwrap().sum_all().unwrap();
        step(var, &loss).unwrap();
        assert_close(
            &format!("{name}, step {row}"),
            var.as_tensor(),
            &case["path"].get(row).unwrap(),
        );
    }
}

#[test]
fn optimizers_take_the_steps_of_pytorch() {
    let var = || Var::zeros(37, candle_core::DType::F32, &Device::Cpu).unwrap();
    let named = |var: &Var| vec![("weight".to_owned(), var.clone())];
    let descended = var();
    let mut sgd = Sgd::named(
        named(&descended),
        SgdConfig { learning_rate: 0.05, momentum: 0.9, weight_decay: 5e-4 },
    );
    follow("sgd", &mut |_, loss| sgd.backward_step(loss), &descended);
    let adapted = var();
    let mut adam = Adam::named(named(&adapted), 0.05);
    follow("adam", &mut |_, loss| adam.backward_step(loss), &adapted);
}
