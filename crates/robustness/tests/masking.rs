//! Planted faults must each be found, and an honest model must not be accused.

mod models;

use brainprior_robustness::{
    Classifier, LabeledBatch, MaskingReport, MaskingSettings, MaskingVerdict, Settings,
    masking_report,
};
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
    masking_report(model, &[&source], &labeled_batch(images), &masking, SETTINGS).unwrap()
}

#[track_caller]
fn found(report: &MaskingReport, name: &str, words: &str) {
    let check = report.checks.iter().find(|check| check.name == name).expect("the check was made");
    let finding = check
        .finding
        .as_deref()
        .unwrap_or_else(|| panic!("{name} found nothing: {:?}", check.figures));
    assert!(finding.contains(words), "{finding}");
    assert_eq!(report.verdict(), MaskingVerdict::Found);
    assert!(report.in_words().contains(words), "{}", report.in_words());
}

#[test]
fn an_honest_model_is_not_accused() {
    let report = report_on(100, &honest());
    assert_eq!(report.verdict(), MaskingVerdict::NoSign, "{}", report.in_words());
    assert_eq!((report.images, report.checks.len()), (100, 11));
    assert!(
        report.in_words().starts_with("no sign of gradient masking in 11 checks on 100 images")
    );
    let steps = report.checks.iter().find(|check| check.name == "steps").unwrap();
    assert!(
        steps.figures.iter().any(|figure| (0.05..0.95).contains(&figure.1)),
        "epsilon tells nothing: {steps:?}"
    );
}

#[test]
fn nothing_found_on_fewer_than_100_images_is_too_few_to_tell() {
    let report = report_on(99, &honest());
    assert!(report.checks.iter().all(|check| check.finding.is_none()));
    assert_eq!((report.images, report.verdict()), (99, MaskingVerdict::TooFewImages));
    assert!(
        report.in_words().contains("99 correctly classified images")
            && report.in_words().contains("too few to tell"),
        "{}",
        report.in_words()
    );
}

/// A layer that adds noise.
struct Stochastic(Planes, AtomicU64);

impl Classifier for Stochastic {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let call = self.1.fetch_add(1, Ordering::Relaxed);
        let mut generator = ChaCha8Rng::seed_from_u64(call);
        let noise: Vec<f32> =
            (0..images.elem_count()).map(|_| generator.random_range(-0.1..0.1)).collect();
        self.0.logits(&(images + Tensor::from_vec(noise, images.dims(), &Device::Cpu)?)?)
    }
}

#[test]
fn a_stochastic_layer_is_found() {
    found(
        &report(&Stochastic(honest(), AtomicU64::new(0))),
        "repeatable",
        "something in the model is random",
    );
}

#[test]
fn saturated_logits_are_found() {
    let model = Planes { scale: 1e4, ..honest() };
    found(&report(&model), "zero gradients", "it saturates");
}

/// Rounds values to eighths, which stops the gradient.
struct Quantized(Planes);

impl Classifier for Quantized {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.0.logits(&((images * 8.0)?.detach().round()? / 8.0)?)
    }
}

#[test]
fn a_quantizer_without_gradient_is_found() {
    let report = report(&Quantized(honest()));
    found(&report, "zero gradients", "is not differentiable");
    found(&report, "slopes", "no gradient to follow");
    found(&report, "large epsilon", "gradient descent fails");
    found(&report, "black-box", "that withstand gradient attacks");
}

/// The same with a wrong gradient: the rounding is passed straight through backwards.
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

/// A model made for bytes.
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

/// Layers that keep only the strongest units (k-winners-take-all, Xiao et al. 2020): the function
/// jumps wherever another unit wins, so that its gradient, correct at each point, says little about
/// neighboring points.
struct WinnersTakeAll {
    layers: Vec<Tensor>,
    last: Tensor,
}

const UNITS: usize = 400;
const WINNERS: usize = 80;

impl WinnersTakeAll {
    fn random(seed: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |rows: usize, columns: usize| {
            let values: Vec<f32> =
                (0..rows * columns).map(|_| generator.random_range(-0.25f32..0.25)).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
        };
        let layers = [64, UNITS, UNITS, UNITS].map(|inputs| draw(inputs, UNITS)).to_vec();
        Self { layers, last: draw(UNITS, 4) }
    }
}

impl Classifier for WinnersTakeAll {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let mut values = (images.flatten_from(1)? - 0.5)?;
        for layer in &self.layers {
            let units = values.matmul(layer)?;
            let wins = |row: Vec<f32>| {
                let mut sorted = row.clone();
                sorted.sort_by(|a, b| b.total_cmp(a));
                row.into_iter().map(move |value| f32::from(u8::from(value >= sorted[WINNERS - 1])))
            };
            let winners: Vec<f32> = units.to_vec2::<f32>()?.into_iter().flat_map(wins).collect();
            values = (&units * Tensor::from_vec(winners, units.dims(), &Device::Cpu)?)?;
        }
        values.matmul(&self.last)
    }
}

#[test]
fn winners_that_take_all_fool_ddn_and_are_found() {
    let model = WinnersTakeAll::random(3);
    let pixels: Vec<f32> =
        (0..60).flat_map(|index| labeled_batch(60).image(index).to_vec()).collect();
    let images = Tensor::from_slice(&pixels, (60, 1, 16, 4), &Device::Cpu).unwrap();
    let logits = model.logits(&images).unwrap().to_vec2::<f32>().unwrap();
    let labels = logits
        .iter()
        .map(|row| (1..4).fold(0, |best, class| if row[class] > row[best] { class } else { best }));
    let labeled = LabeledBatch::new(1, 16, 4, pixels, labels.collect()).unwrap();
    let masking = MaskingSettings { queries: 300, ..MaskingSettings::at(0.02) };
    let report = masking_report(&model, &[], &labeled, &masking, SETTINGS).unwrap();
    found(&report, "searches", "gradients are misleading");
    let ratio = report.checks.iter().find(|check| check.name == "searches").unwrap().figures[0].1;
    assert!(
        ratio > 1.0,
        "DDN's smallest perturbations are {ratio} times as large as those of Auto-PGD"
    );
}
