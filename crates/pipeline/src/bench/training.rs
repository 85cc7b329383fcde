//! Steps of the joint training including loader and augmentation: 64 labeled images of 32 x 32,
//! pairs of stimuli of 36 x 64, ResNet18.

use super::{Bencher, Case};
use crate::synthetic::{mixed, numbers};
use anyhow::Result;
use brainprior_classifier::{Target, TrainConfig, TrainEvent, TrainOptions, train};
use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_similarity::SimilarityMatrix;
use serde_json::json;
use std::time::Instant;

const BATCH: usize = 64;
const STIMULI: usize = 200;

/// Base channels and pairs.
const STEPS: [(usize, usize); 3] = [(64, 0), (64, 16), (16, 16)];

/// Runs all cases.
pub(super) fn run(bencher: &Bencher) -> Result<()> {
    STEPS.into_iter().try_for_each(|(base, pairs)| step(bencher, base, pairs))
}

fn step(bencher: &Bencher, base: usize, pairs: usize) -> Result<()> {
    let mut case = Case {
        bench: "training_step",
        shape: format!("base {base}, {pairs} pairs"),
        work: vec![("images", BATCH as f64)],
        labels: vec![("base", json!(base)), ("pairs", json!(pairs))],
    };
    if !bencher.wants(&case) {
        return Ok(());
    }
    super::forget_peak_memory();
    // One warm-up step, and one validation image.
    let images = labeled((bencher.repeats + 1) * BATCH + 1)?;
    let target = if pairs == 0 { Target::None } else { similarities()? };
    let config = TrainConfig {
        base_channels: base,
        epochs: 1,
        batch: BATCH,
        pairs: pairs.max(1),
        learning_rate: 0.01,
        precision: bencher.precision,
        validation_fraction: 0.5 / images.len() as f64,
        ..TrainConfig::default()
    };
    let folder = tempfile::tempdir()?;
    let (mut seconds, mut waiting, mut last) = (Vec::new(), Vec::new(), Instant::now());
    let mut observer = |event| {
        if let TrainEvent::Step { waited, .. } = event {
            seconds.push(last.elapsed().as_secs_f64());
            waiting.push(waited);
            last = Instant::now();
        }
    };
    let options =
        TrainOptions { device: bencher.device.clone(), seed: 1, observer: Some(&mut observer) };
    train(&images, &target, &config, folder.path(), options)?;
    // The first batch is made while nothing else runs.
    waiting.remove(0);
    case.labels
        .push(("waited_for_loader", json!(waiting.iter().sum::<f64>() / waiting.len() as f64)));
    bencher.report(case, seconds.split_off(1));
    Ok(())
}

fn labeled(count: usize) -> Result<LabeledImages> {
    let pixels = (0..count as u64 * 1024).map(|pixel| (mixed(pixel) >> 56) as u8).collect();
    let labels = (0..count as u64).map(|image| (mixed(image) % 10) as u8).collect();
    Ok(LabeledImages::new(
        1,
        32,
        32,
        pixels,
        labels,
        (0..10).map(|class| class.to_string()).collect(),
    )?)
}

fn similarities() -> Result<Target> {
    let pixels = (0..STIMULI as u64 * 36 * 64)
        .map(|pixel| (mixed(pixel) >> 40) as f32 / (1 << 24) as f32)
        .collect();
    let stimuli = StimulusSet::new(36, 64, pixels)?;
    let packed =
        numbers(STIMULI * (STIMULI - 1) / 2).into_iter().map(|value| value / 4.0).collect();
    let matrix = SimilarityMatrix::new(stimuli.ids().to_vec(), packed, vec![])?;
    Ok(Target::Similarity { stimuli, matrix })
}
