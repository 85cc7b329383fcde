//! Small simulated scans with known ground truth.

use brainprior_images::StimulusSet;
use brainprior_recording::simulation::{Simulated, SimulationConfig, simulate};
use brainprior_recording::{Scan, ScanParts};
use brainprior_response_model::{Config, CoreConfig, OptimizationConfig, ReadoutConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Dead leaves: discs of random size and brightness that occlude each other and, like natural
/// images, have power at all scales.
pub(crate) fn stimuli(count: usize, height: usize, width: usize, seed: u64) -> StimulusSet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pixels = vec![0.5; count * height * width];
    for image in pixels.chunks_mut(height * width) {
        for _ in 0..60 {
            let radius = 1.5 / rng.random_range(0.15..1.0f32);
            let (x, y) =
                (rng.random_range(0.0..width as f32), rng.random_range(0.0..height as f32));
            let level = rng.random();
            for (i, pixel) in image.iter_mut().enumerate() {
                if (i as f32 % width as f32 - x).hypot((i / width) as f32 - y) < radius {
                    *pixel = level;
                }
            }
        }
    }
    StimulusSet::new(height, width, pixels).unwrap()
}

/// A scan of 20 x 32 pixels.
pub(crate) fn simulated(images: usize, oracle: usize, config: &SimulationConfig) -> Simulated {
    simulate("sim", &stimuli(images, 20, 32, 3), &stimuli(oracle, 20, 32, 4), config).unwrap()
}

/// The smallest scan that can be fitted, with the fastest fit.
pub(crate) fn tiny() -> (Scan, Config) {
    let config =
        SimulationConfig { neurons: 6, repeats: 3, validation_fraction: 0.2, ..Default::default() };
    let optimization =
        OptimizationConfig { batch_images: 16, max_epochs: 4, ..OptimizationConfig::default() };
    let config_of_fit = Config {
        core: CoreConfig {
            channels: Some(vec![4, 4]),
            kernels: vec![5, 3],
            ..CoreConfig::default()
        },
        readout: ReadoutConfig { levels: 2, ..ReadoutConfig::default() },
        optimization,
        ..Config::default()
    };
    (simulated(60, 5, &config).scan, config_of_fit)
}

/// The parts of a scan, for modification.
pub(crate) fn parts(scan: &Scan) -> ScanParts {
    ScanParts {
        name: scan.name().to_owned(),
        stimuli: scan.stimuli().clone(),
        image_labels: None,
        trial_image: scan.trial_image().to_vec(),
        tiers: scan.tiers().to_vec(),
        responses: scan.responses().clone(),
        behavior: scan.behavior().cloned(),
        pupil_center: scan.pupil_center().cloned(),
        neurons: scan.neurons().clone(),
        trial_idx: None,
        origin: scan.origin(),
    }
}
