//! Times steps of training: `step_speed [base channels] [pairs] [blocks a stage] [steps]`, 0 pairs for no target.

#![allow(clippy::print_stdout, reason = "prints what it measured")]

use brainprior_classifier::{NetConfig, Target, TrainConfig, TrainEvent, train};
use brainprior_images::{LabelledImages, StimulusSet};
use brainprior_similarity::SimilarityMatrix;
use std::time::Instant;

const BATCH: usize = 64;
const STIMULI: usize = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|argument| argument.parse()).collect::<Result<_, _>>()?;
    let argument = |index: usize, default: usize| arguments.get(index).copied().unwrap_or(default);
    let (base_channels, pairs, blocks, steps) = (argument(0, 8), argument(1, 16), argument(2, 1), argument(3, 30));

    let count = steps * BATCH + 1;
    let pixels = (0..count * 1024).map(|pixel| (mixed(pixel) >> 24) as u8).collect();
    let labels = (0..count).map(|image| (mixed(image) % 10) as u8).collect();
    let data = LabelledImages::new(1, 32, 32, pixels, labels, (0..10).map(|class| class.to_string()).collect())?;
    let target = if pairs == 0 {
        Target::None
    } else {
        let pixels = (0..STIMULI * 36 * 64).map(|pixel| (mixed(pixel) >> 8) as f32 / (1 << 24) as f32).collect();
        let stimuli = StimulusSet::new(36, 64, pixels)?;
        let packed = (0..STIMULI * (STIMULI - 1) / 2).map(|pair| (mixed(pair) % 1000) as f32 / 2500.0 - 0.2).collect();
        let matrix = SimilarityMatrix::new(stimuli.ids().to_vec(), packed, vec![])?;
        Target::Similarity { stimuli, matrix }
    };
    let config = TrainConfig {
        net: NetConfig { blocks: vec![blocks; 4], base_channels, ..NetConfig::default() },
        epochs: 1,
        batch: BATCH,
        pairs: pairs.max(1),
        learning_rate: 0.01,
        validation_fraction: 0.5 / count as f64,
        ..TrainConfig::default()
    };
    let folder = tempfile::tempdir()?;
    let (mut times, mut last) = (Vec::with_capacity(steps), Instant::now());
    train(&data, &target, &config, 1, folder.path(), &mut |event| {
        if let TrainEvent::Step { .. } = event {
            times.push(last.elapsed().as_secs_f64());
            last = Instant::now();
        }
    })?;
    // The first step also allocates.
    let mut times = times.split_off(1);
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!(
        "base {base_channels}, {blocks} blocks a stage, {pairs} pairs, {} threads: {:.1} ms a step (median of {}), {:.0} images/s",
        rayon::current_num_threads(),
        1e3 * median,
        times.len(),
        BATCH as f64 / median
    );
    Ok(())
}

/// Numbers without pattern.
fn mixed(value: usize) -> u32 {
    let value = (value as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((value ^ value >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}
