//! Trains a classifier with and without a target of similarities, and compares both under noise.
#![allow(clippy::print_stdout)]

use brainprior::candle_core::Device;
use brainprior::classifier::{Target, TrainConfig, TrainOptions, train};
use brainprior::images::{LabeledImages, procedural::natural_stimuli};
use brainprior::robustness::{Clamp, LabeledBatch, ModuleClassifier, Noise, Settings, noise_curve};
use brainprior::similarity::low_pass_pixels;

fn main() -> anyhow::Result<()> {
    // Gratings of 16 x 16 pixels, whose class is their direction; `images::read_labeled` reads
    // CIFAR, folders of pictures and more.
    let grating = |image: usize| {
        let angle = (image % 3) as f32;
        let wave = move |x: f32, y: f32| (x * angle.cos() + y * angle.sin() + image as f32).sin();
        (0..256).map(move |at| (128.0 + 60.0 * wave((at % 16) as f32, (at / 16) as f32)) as u8)
    };
    let labels: Vec<u8> = (0..600).map(|image| (image % 3) as u8).collect();
    let classes = ["0", "1", "2"].map(String::from).to_vec();
    let images =
        LabeledImages::new(1, 16, 16, (0..600).flat_map(grating).collect(), labels, classes)?;
    let (learned, test) = (images.take(400), images.subset(&(400..600).collect::<Vec<_>>()));
    let (pixels, labels) = test.to_unit();
    let labeled = LabeledBatch::new(1, 16, 16, pixels, labels)?;
    // The target is any matrix over any stimuli. Neural targets come from `response_model` and
    // `similarity`.
    let stimuli = natural_stimuli(100, 18, 32, 2);
    let matrix = low_pass_pixels(&stimuli, 2.0)?;

    let config = TrainConfig {
        blocks: vec![1, 1],
        base_channels: 4,
        epochs: 4,
        batch: 25,
        alpha: 5.0,
        ..TrainConfig::default()
    };
    for (name, target) in
        [("none", Target::None), ("low-pass pixels", Target::Similarity { stimuli, matrix })]
    {
        // The folder keeps the state, from which an interrupted training resumes, and the networks.
        let folder = tempfile::tempdir()?;
        let trained = train(
            &learned,
            &target,
            &config,
            folder.path(),
            TrainOptions { seed: 1, ..TrainOptions::default() },
        )?;
        let model = ModuleClassifier::new(trained.last, Device::Cpu);
        let settings = Settings { seed: 7, batch: 100 };
        let points = noise_curve(
            &model,
            &labeled,
            Noise::Gaussian,
            Clamp::Unit,
            &[0.0, 0.2, 0.4],
            settings,
        )?;
        let shares: Vec<_> =
            points.iter().map(|point| point.accuracy.share().expect("there are images")).collect();
        println!("target {name}: accuracy {shares:.2?} at noise 0, 0.2 and 0.4");
    }
    Ok(())
}
