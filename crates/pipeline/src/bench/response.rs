//! Training and prediction of response models: ten steps of 64 images of the model that the script
//! for the other library builds, prediction of 5,000 images, a stream of 100,000, and an epoch at
//! the size of the paper's scans. The scans are noise, since time does not depend on values.

use super::{Bencher, Case};
use crate::synthetic::numbers;
use anyhow::{Result, ensure};
use brainprior_images::StimulusSet;
use brainprior_recording::{Neurons, Origin, Scan, ScanParts, Tier};
use brainprior_response_model::{
    BehavioralState, Config, CoreConfig, CoreKind, FitEvent, FitOptions, KernelStart, LossConfig,
    ModulatorConfig, OptimizationConfig, ReadoutConfig, ReadoutKind, ResponseModel, fit,
};
use ndarray::Array2;
use serde_json::json;
use std::time::Instant;

const HEIGHT: usize = 36;
const WIDTH: usize = 64;
const BATCH: usize = 64;
/// Training steps per epoch in the comparison.
const STEPS: usize = 10;
/// Neurons of the scan in the comparison.
const PEER_NEURONS: usize = 400;
/// The paper's scans: neurons, and images that are not repeated.
const PAPER: (usize, usize) = (8000, 5000);
/// Images predicted one after the other without keeping the results.
const STREAM: usize = 100_000;

/// Runs all cases.
pub(super) fn run(bencher: &Bencher) -> Result<()> {
    let steps = |shape: &str| Case {
        bench: "response_training",
        shape: format!("{PEER_NEURONS} neurons, {shape}"),
        work: vec![("images", (STEPS * BATCH) as f64)],
        labels: vec![("neurons", json!(PEER_NEURONS))],
    };
    ten_steps(bencher, steps("stacked 3x32 k13/3, gaussian"), peer())?;
    ten_steps(bencher, steps("dense 3x32 k17/3 s2, pyramid"), dense())?;
    stream(bencher)?;
    paper_epoch(bencher)
}

/// A dense core of 32 channels with small kernels in the later layers.
fn dense() -> Config {
    let mut config = Config::default();
    (config.core.channels, config.core.kernels) = (Some(vec![32; 3]), vec![17, 3, 3]);
    config.readout.l1 = Some(0.001);
    config
}

/// The model of the comparison: three layers of 32 channels, kernels of 13, 3 and 3, all of them
/// read out at positions drawn from a Gaussian; with a shifter but no modulator.
fn peer() -> Config {
    Config {
        core: CoreConfig {
            kind: CoreKind::Stacked,
            channels: Some(vec![32; 3]),
            kernels: vec![13, 3, 3],
            stride: 1,
            pad_input: false,
            contrast_window: None,
            start: KernelStart::Normal,
            ..CoreConfig::default()
        },
        readout: ReadoutConfig {
            kind: ReadoutKind::Gaussian,
            spread: 1.0,
            l1: Some(0.001),
            ..ReadoutConfig::default()
        },
        modulator: ModulatorConfig { enabled: false, ..ModulatorConfig::default() },
        optimization: OptimizationConfig { averaging: 0.0, ..OptimizationConfig::default() },
        ..Config::default()
    }
}

/// Each epoch is ten steps; the first is not counted. Then the model predicts.
fn ten_steps(bencher: &Bencher, case: Case, mut config: Config) -> Result<()> {
    let prediction = Case {
        bench: "response_prediction",
        shape: case.shape.clone(),
        work: vec![("images", PAPER.1 as f64)],
        labels: case.labels.clone(),
    };
    if !bencher.wants(&case) && !bencher.wants(&prediction) {
        return Ok(());
    }
    super::forget_peak_memory();
    let scan = noise(PEER_NEURONS, STEPS * BATCH, BATCH)?;
    config.optimization.precision = bencher.precision;
    config.optimization.max_epochs = bencher.repeats + 1;
    config.optimization.patience = Some(usize::MAX);
    let (mut seconds, mut started) = (Vec::new(), Instant::now());
    let mut observer = |event| match event {
        FitEvent::Step { done: STEPS, .. } => seconds.push(started.elapsed().as_secs_f64()),
        FitEvent::Epoch { .. } => started = Instant::now(),
        _ => {}
    };
    let model = fit(
        &[&scan],
        &config,
        FitOptions { seed: 1, observer: Some(&mut observer), ..FitOptions::default() },
    )?;
    if bencher.wants(&case) {
        bencher.report(case, seconds.split_off(1));
    }
    predict(bencher, prediction, &model)
}

fn predict(bencher: &Bencher, case: Case, model: &ResponseModel) -> Result<()> {
    let images = stimuli(PAPER.1)?;
    bencher.measure(case, || {
        model.predict(0, &images)?;
        Ok(())
    })
}

/// The default model on a stream of images.
fn stream(bencher: &Bencher) -> Result<()> {
    let case = Case {
        bench: "response_stream",
        shape: format!("{PEER_NEURONS} neurons, {STREAM} images"),
        work: vec![("images", STREAM as f64)],
        labels: vec![("neurons", json!(PEER_NEURONS))],
    };
    if !bencher.wants(&case) {
        return Ok(());
    }
    let mut config = dense();
    config.optimization.max_epochs = 1;
    let model = fit(
        &[&noise(PEER_NEURONS, STEPS * BATCH, BATCH)?],
        &config,
        FitOptions { seed: 1, ..FitOptions::default() },
    )?;
    let images = stimuli(BATCH)?;
    super::forget_peak_memory();
    let (started, mut rows) = (Instant::now(), 0);
    let endless = (0..STREAM).map(|i| images.image(i % BATCH));
    model.predict_stream(0, endless, &BehavioralState::default(), &mut |_| rows += 1)?;
    ensure!(rows == STREAM, "predicted {rows} of {STREAM} images");
    bencher.report(case, vec![started.elapsed().as_secs_f64()]);
    Ok(())
}

/// One epoch, including validation, at the size of one of the paper's scans.
fn paper_epoch(bencher: &Bencher) -> Result<()> {
    let (neurons, images) = PAPER;
    let case = Case {
        bench: "response_epoch",
        shape: format!("{neurons} neurons, {images} images, batch {BATCH}"),
        work: vec![("images", images as f64 * 0.9)],
        labels: vec![("neurons", json!(neurons))],
    };
    if !bencher.wants(&case) {
        return Ok(());
    }
    super::forget_peak_memory();
    let scan = noise(neurons, images - images / 10, images / 10)?;
    let mut config = Config { loss: LossConfig::default(), ..dense() };
    config.optimization.max_epochs = 1;
    config.optimization.precision = bencher.precision;
    let mut seconds = Vec::new();
    let mut observer = |event| {
        if let FitEvent::Epoch { seconds: of_epoch, .. } = event {
            seconds.push(of_epoch);
        }
    };
    fit(
        &[&scan],
        &config,
        FitOptions { seed: 1, observer: Some(&mut observer), ..FitOptions::default() },
    )?;
    bencher.report(case, seconds);
    Ok(())
}

fn stimuli(count: usize) -> Result<StimulusSet> {
    let pixels = numbers(count * HEIGHT * WIDTH).into_iter().map(|value| value.abs()).collect();
    Ok(StimulusSet::new(HEIGHT, WIDTH, pixels)?)
}

/// Each image is shown once.
fn noise(neurons: usize, training: usize, validation: usize) -> Result<Scan> {
    let trials = training + validation;
    let table =
        |columns: usize| Array2::from_shape_vec((trials, columns), numbers(trials * columns));
    Ok(Scan::new(ScanParts {
        name: "noise".into(),
        stimuli: stimuli(trials)?,
        image_labels: None,
        trial_image: (0..trials).collect(),
        tiers: (0..trials)
            .map(|trial| if trial < training { Tier::Train } else { Tier::Validation })
            .collect(),
        responses: table(neurons)?.mapv_into(f32::abs),
        behavior: Some(table(3)?),
        pupil_center: Some(table(2)?),
        neurons: Neurons::unnamed(neurons),
        trial_idx: None,
        origin: Origin::default(),
    })?)
}
