//! A fit on a CUDA device: losses like the CPU's, the same bytes on every run, and files that both
//! can read. Without a device, the test prints why it is skipped.
#![allow(clippy::print_stdout)]

use brainprior_images::StimulusSet;
use brainprior_recording::Scan;
use brainprior_recording::simulation::{SimulationConfig, simulate};
use brainprior_response_model::{Config, FitEvent, FitOptions, ResponseModel, fit};
use candle_core::Device;
use std::path::Path;

fn device() -> Option<Device> {
    #[cfg(feature = "cuda")]
    match brainprior_kernels::cuda::device(0) {
        Ok(device) => return Some(device),
        Err(error) => {
            // The first line only, since a backtrace may follow.
            let error = error.to_string();
            println!(
                "response model: skipped, no CUDA device: {}",
                error.lines().next().unwrap_or_default()
            );
        }
    }
    #[cfg(not(feature = "cuda"))]
    println!("response model: skipped, no CUDA device: built without the feature cuda");
    None
}

/// The losses of the epochs, and the model.
fn run(device: &Device, scan: &Scan, checkpoint: &Path) -> (Vec<f64>, ResponseModel) {
    let mut config = Config::small();
    config.optimization.max_epochs = 2;
    let mut losses = Vec::new();
    let mut observer = |event| {
        if let FitEvent::Epoch { train_loss, .. } = event {
            losses.push(train_loss);
        }
    };
    let options = FitOptions {
        device: device.clone(),
        seed: 1,
        checkpoint: Some(checkpoint),
        observer: Some(&mut observer),
    };
    let model = fit(&[scan], &config, options);
    (losses, model.unwrap())
}

#[test]
fn a_fit_on_a_device_takes_the_course_of_the_cpus() {
    let Some(device) = device() else { return };
    let grating = |image: usize| {
        (0..18 * 32).map(move |pixel| {
            let (x, y, angle) = ((pixel % 32) as f32, (pixel / 32) as f32, image as f32 * 0.7);
            0.5 + 0.5 * (0.4 * (x * angle.cos() + y * angle.sin()) + image as f32).sin()
        })
    };
    let set = |images: std::ops::Range<usize>| {
        StimulusSet::new(18, 32, images.flat_map(grating).collect()).unwrap()
    };
    let simulation = SimulationConfig { neurons: 12, ..Default::default() };
    let scan = simulate("sim", &set(0..60), &set(60..64), &simulation).unwrap().scan;
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = |name: &str| folder.path().join(name);
    let (losses, found) = run(&device, &scan, &checkpoint("device"));
    let (expected_losses, expected) = run(&Device::Cpu, &scan, &checkpoint("cpu"));
    for (found, expected) in losses.iter().zip(&expected_losses) {
        assert!(
            (found - expected).abs() <= 1e-2 * expected.abs(),
            "loss {found}, expected {expected}"
        );
    }
    let rates = |model: &ResponseModel| {
        model.predict(0, scan.stimuli()).unwrap().values().iter().copied().collect::<Vec<f32>>()
    };
    for (found, expected) in rates(&found).iter().zip(rates(&expected)) {
        assert!(
            (found - expected).abs() <= 0.05 * expected.abs().max(0.1),
            "rate {found}, expected {expected}"
        );
    }
    let (_, again) = run(&device, &scan, &checkpoint("again"));
    let path = folder.path().join("model.safetensors");
    let saved = |model: &ResponseModel| {
        model.save(&path).unwrap();
        std::fs::read(&path).unwrap()
    };
    assert!(saved(&again) == saved(&found), "the second run gave different bytes");
    // Written on the device, read on the CPU; a finished fit can be loaded on either.
    assert_eq!(
        rates(&ResponseModel::load(&path).unwrap()),
        rates(&run(&Device::Cpu, &scan, &checkpoint("device")).1)
    );
}
