//! The model as candle modules and variables.

use crate::fixture;
use brainprior_response_model::{FitOptions, ResponseModel, fit};
use candle_core::{Device, Module, Var};
use candle_nn::ModuleT;

#[test]
fn networks_are_modules_that_predict_alike_and_have_a_gradient() {
    let (scan, mut config) = fixture::tiny();
    config.optimization.max_epochs = 1;
    let model = fit(&[&scan], &config, FitOptions { seed: 1, ..FitOptions::default() }).unwrap();
    let images = scan.stimuli().subset(&[0, 7, 12]);
    let network = model.network(0).unwrap();
    let shown =
        Var::from_slice(images.pixels(), (3, 1, images.height(), images.width()), &Device::Cpu)
            .unwrap();
    let rates = network.forward(&shown).unwrap();
    for (rate, expected) in rates
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap()
        .iter()
        .zip(model.predict(0, &images).unwrap().values())
    {
        assert!((rate - expected).abs() <= 1e-5 * expected, "{rate}, predicted {expected}");
    }

    // A step along its gradient increases the sum of the rates by the gradient's squared length.
    let gradient = rates.sum_all().unwrap().backward().unwrap().remove(&shown).unwrap();
    let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    let sum_at = |step: f64| {
        let moved = (shown.as_tensor() + (&gradient * step).unwrap()).unwrap();
        network.forward(&moved).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()
    };
    let step = 0.01 / f64::from(length).sqrt();
    let slope = f64::from(sum_at(step) - sum_at(-step)) / (2.0 * step);
    assert!(
        length > 0.0 && (slope / f64::from(length) - 1.0).abs() < 0.05,
        "{slope}, expected {length}"
    );

    let features = model.core().forward_t(&shown, false).unwrap();
    assert_eq!(features.dim(0).unwrap(), 3);
}

#[test]
fn variables_share_the_memory_of_the_model() {
    let (scan, mut config) = fixture::tiny();
    config.optimization.max_epochs = 1;
    let [first, second] = [1, 2]
        .map(|seed| fit(&[&scan], &config, FitOptions { seed, ..FitOptions::default() }).unwrap());
    let predicted = |model: &ResponseModel| model.predict(0, scan.stimuli()).unwrap();
    assert_ne!(predicted(&first), predicted(&second));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("variables.safetensors");
    first.variables().save(&path).unwrap();
    second.variables().load(&path).unwrap();
    assert_eq!(predicted(&first), predicted(&second));
}
