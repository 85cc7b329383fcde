//! Joint training on a CUDA device: it follows the CPU's losses, repeats to the byte, and writes
//! files that either device reads. Without a device, the test says why it is skipped.
#![allow(clippy::print_stdout)]

use brainprior_classifier::{ResNet, Target, TrainConfig, TrainOptions, Trained, train};
use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_similarity::SimilarityMatrix;
use candle_core::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

fn device() -> Option<Device> {
    #[cfg(feature = "cuda")]
    match brainprior_kernels::cuda::device(0) {
        Ok(device) => return Some(device),
        Err(error) => {
            // The first line only: a backtrace may follow.
            let error = error.to_string();
            println!(
                "joint training: skipped, no CUDA device: {}",
                error.lines().next().unwrap_or_default()
            );
        }
    }
    #[cfg(not(feature = "cuda"))]
    println!("joint training: skipped, no CUDA device: built without the feature cuda");
    None
}

fn run(device: &Device, folder: &Path) -> Trained {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let pixels = (0..24 * 256).map(|_| generator.random()).collect();
    let labels = (0..24).map(|image| image % 3).collect();
    let data =
        LabeledImages::new(1, 16, 16, pixels, labels, ["a", "b", "c"].map(String::from).to_vec())
            .unwrap();
    let stimuli =
        StimulusSet::new(16, 20, (0..6 * 320).map(|_| generator.random::<f32>()).collect())
            .unwrap();
    let similarities = (0..15).map(|_| generator.random_range(-0.3f32..0.3)).collect();
    let matrix = SimilarityMatrix::new(stimuli.ids().to_vec(), similarities, vec![]).unwrap();
    let config = TrainConfig {
        blocks: vec![1, 1],
        base_channels: 4,
        epochs: 2,
        batch: 8,
        pairs: 4,
        learning_rate: 0.01,
        validation_fraction: 0.2,
        ..TrainConfig::default()
    };
    let target = Target::Similarity { stimuli, matrix };
    let options = TrainOptions { device: device.clone(), seed: 5, observer: None };
    train(&data, &target, &config, folder, options).unwrap()
}

#[test]
fn a_training_on_a_device_takes_the_course_of_the_cpus() {
    let Some(device) = device() else { return };
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let found = run(&device, folders[0].path());
    let expected = run(&Device::Cpu, folders[1].path());
    for (found, expected) in found.epochs.iter().zip(&expected.epochs) {
        for (name, found, expected) in [
            ("loss", found.loss, expected.loss),
            ("cross entropy", found.cross_entropy, expected.cross_entropy),
            ("validation loss", found.validation_loss, expected.validation_loss),
        ] {
            assert!(
                (found - expected).abs() <= 1e-2 * expected.abs(),
                "{name}: {found}, expected {expected}"
            );
        }
    }
    let again = run(&device, folders[2].path());
    let saved = |trained: &Trained, folder: &Path| {
        let path = folder.join("network.safetensors");
        trained.last.save(&path).unwrap();
        std::fs::read(path).unwrap()
    };
    let bytes = saved(&found, folders[0].path());
    assert!(bytes == saved(&again, folders[2].path()), "other bytes the second time");
    let read = ResNet::load(&folders[0].path().join("network.safetensors")).unwrap();
    assert!(read.device().is_cpu() && found.last.device().same_device(&device));
}
