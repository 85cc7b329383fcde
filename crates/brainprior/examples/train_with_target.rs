//! Trains a classifier with and without a target of similarities, and compares both under noise.
#![allow(clippy::print_stdout)]

use brainprior::candle_core::Device;
use brainprior::classifier::{Target, TrainConfig, train};
use brainprior::images::procedural::{natural_stimuli, ten_classes};
use brainprior::robustness::{Clamp, LabeledBatch, ModuleClassifier, Noise, Settings, noise_curve};
use brainprior::similarity::low_pass_pixels;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Labeled images of ten classes; `images::read_labeled` reads CIFAR, folders of pictures and more.
    let images = ten_classes(400, 200, 1);
    // The target: any matrix over any stimuli. Neural ones come from `response_model` and `similarity`.
    let stimuli = natural_stimuli(100, 18, 32, 2);
    let matrix = low_pass_pixels(&stimuli, 2.0)?;

    let config = TrainConfig { blocks: vec![1, 1], base_channels: 8, epochs: 4, batch: 50, alpha: 5.0, ..TrainConfig::default() };
    let test = &images.test;
    let pixels = test.pixels().iter().map(|value| f32::from(*value) / 255.0).collect();
    let labels = test.labels().iter().map(|label| usize::from(*label)).collect();
    let labeled = LabeledBatch::new(test.channels(), test.height(), test.width(), pixels, labels)?;
    for (name, target) in [("none", Target::None), ("low-pass pixels", Target::Similarity { stimuli, matrix })] {
        // State, history and networks are kept in a folder, from which an interrupted training is resumed.
        let folder = tempfile::tempdir()?;
        let trained = train(&images.train, &target, &config, 1, folder.path(), &mut |_| ())?;
        let model = ModuleClassifier::new(trained.last, Device::Cpu);
        let settings = Settings { seed: 7, batch: 100 };
        let points = noise_curve(&model, &labeled, Noise::Gaussian, Clamp::Unit, &[0.0, 0.1, 0.2], settings, &mut |_| ())?;
        let shares: Vec<_> = points.iter().map(|point| point.accuracy.share().expect("there are images")).collect();
        println!("target {name}: accuracy {shares:.2?} at noise 0, 0.1 and 0.2");
    }
    Ok(())
}
