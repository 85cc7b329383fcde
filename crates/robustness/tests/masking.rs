//! Planted faults: each must be found, and an honest model must not be accused.

mod models;

use brainprior_robustness::{Classifier, LabeledBatch, MaskingReport, MaskingSettings, MaskingVerdict, Settings, masking_report};
use candle_core::{Device, Result, Tensor};
use models::Planes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicU64, Ordering};

const SETTINGS: Settings = Settings { seed: 4, batch: 20 };

fn honest() -> Planes {
    Planes::random(4, 64, 0.3, 11)
}

fn labeled_batch(images: usize) -> LabeledBatch {
    honest().labeled_batch(images, 0.25, 12)
}

fn report(model: &dyn Classifier) -> MaskingReport {
    report_on(60, model)
}

fn report_on(images: usize, model: &dyn Classifier) -> MaskingReport {
    let masking = MaskingSettings { queries: 300, ..MaskingSettings::at(0.02) };
    let source = Planes::random(4, 64, 0.3, 11);
    masking_report(model, &[&source], &labeled_batch(images), &masking, SETTINGS, &mut |_| {}).unwrap()
}

#[track_caller]
fn found(report: &MaskingReport, name: &str, words: &str) {
    let check = report.checks.iter().find(|check| check.name == name).expect("the check was made");
    let finding = check.finding.as_deref().unwrap_or_else(|| panic!("{name} found nothing: {:?}", check.figures));
    assert!(finding.contains(words), "{finding}");
    assert_eq!(report.verdict(), MaskingVerdict::Found);
    assert!(report.in_words().contains(words), "{}", report.in_words());
}

#[test]
fn an_honest_model_is_not_accused() {
    let report = report_on(100, &honest());
    assert_eq!(report.verdict(), MaskingVerdict::NoSign, "{}", report.in_words());
    assert_eq!((report.images, report.checks.len()), (100, 10));
    assert!(report.in_words().starts_with("no sign of gradient masking in 10 checks on 100 images"));
    let steps = report.checks.iter().find(|check| check.name == "steps").unwrap();
    assert!(steps.figures.iter().any(|figure| (0.05..0.95).contains(&figure.1)), "epsilon tells nothing: {steps:?}");
}

#[test]
fn nothing_found_on_fewer_than_100_images_is_too_few_to_tell() {
    let report = report_on(99, &honest());
    assert!(report.checks.iter().all(|check| check.finding.is_none()));
    assert_eq!((report.images, report.verdict()), (99, MaskingVerdict::TooFewImages));
    assert!(report.in_words().contains("99 images") && report.in_words().contains("too few to tell"), "{}", report.in_words());
}

/// A layer that adds noise.
struct Stochastic(Planes, AtomicU64);

impl Classifier for Stochastic {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let call = self.1.fetch_add(1, Ordering::Relaxed);
        let mut generator = ChaCha8Rng::seed_from_u64(call);
        let noise: Vec<f32> = (0..images.elem_count()).map(|_| generator.random_range(-0.1..0.1)).collect();
        self.0.logits(&(images + Tensor::from_vec(noise, images.dims(), &Device::Cpu)?)?)
    }
}

#[test]
fn a_stochastic_layer_is_found() {
    found(&report(&Stochastic(honest(), AtomicU64::new(0))), "repeatable", "something in it is random");
}

#[test]
fn saturated_logits_are_found() {
    let model = Planes { scale: 1e4, ..honest() };
    found(&report(&model), "zero gradients", "it saturates");
}

/// Values in eighths, which stop the gradient.
struct Quantized(Planes);

impl Classifier for Quantized {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.0.logits(&((images * 8.0)?.detach().round()? / 8.0)?)
    }
}

#[test]
fn a_quantizer_without_gradient_is_found() {
    let report = report(&Quantized(honest()));
    found(&report, "zero gradients", "cannot be differentiated");
    found(&report, "slopes", "no gradient to follow");
    found(&report, "large epsilon", "gradient descent fails");
    found(&report, "black-box", "bring down");
}

/// The same with a gradient that is that of another function: values pass straight through in the way back.
struct StraightThrough(Planes);

impl Classifier for StraightThrough {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let quantized = ((images * 8.0)?.round()? / 8.0)?;
        self.0.logits(&(images + (quantized - images)?.detach())?)
    }
}

#[test]
fn a_gradient_of_another_function_is_found() {
    found(&report(&StraightThrough(honest())), "slopes", "not that of the model");
}

/// A model that was made for bytes.
struct Bytes(Planes);

impl Classifier for Bytes {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.0.logits(&(images / 255.0)?)
    }
}

#[test]
fn wrong_bounds_are_found() {
    found(&report(&Bytes(honest())), "bounds", "in [0, 255]: wrong bounds");
}
