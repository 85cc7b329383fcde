//! Simulates scans with known ground truth, to test analyses of scans.
//!
//! The simulated model differs from the response model that is fitted to scans, so that recovering
//! the ground truth is a real test. A neuron sums a few subunits k, some of them inhibitory, each
//! with its own position, orientation and frequency. With Gabor filters in quadrature (even, odd),
//! a Gaussian window, and an image shifted by the gaze and standardized over all stimuli:
//!
//! ```text
//! simple   = max(0, even . image + luminance * window . image)          luminance > 0: ON, < 0: OFF, often 0
//! energy   = sqrt((even . image)^2 + (odd . image)^2)
//! contrast = standard deviation of the image under the window
//! unit_k   = ((1 - complex_weight) simple + complex_weight energy) / (semisaturation * contrast_scale + contrast) / scale
//! mixture  = max(0, sum over k of weight_k unit_k - threshold)
//! drive    = (mixture / (1 + suppression * contrast of the surround / surround_scale))^exponent
//! ceiling  = d / (1 + d / knee),  d = drive / drive_scale
//! expected = mean_rate * (baseline_fraction + (1 - baseline_fraction) * ceiling / mean of ceiling)
//! rate     = expected * exp(behavior_gain . standardized behavior), exponent within +-1.5
//! response = sum of a Poisson number of gamma-distributed events, per event and unit of rate
//! ```
//!
//! The image moves with the eye: a neuron sees `image(x + dx, y + dy)`, where (dx, dy) is linear in
//! the pupil center up to a bound. The receptive fields of a scan cluster around one place, as in a
//! single field of view. The parameter distributions were chosen so that the similarities of images
//! are like those of measured mouse V1 (`tests/simulation.rs`): pixels and orientation energy
//! explain little of them, their standard deviation is about 0.2, and the eigenspectrum of the
//! signal falls like 1/n (Stringer et al., Nature 2019).
//!
//! ```
//! use brainprior_images::StimulusSet;
//! use brainprior_recording::simulation::{SimulationConfig, simulate};
//!
//! // Gratings of varying direction and phase instead of natural images.
//! let grating = |image: usize| (0..18 * 32).map(move |pixel| {
//!     let (x, y, angle) = ((pixel % 32) as f32, (pixel / 32) as f32, image as f32 * 0.7);
//!     0.5 + 0.5 * (0.4 * (x * angle.cos() + y * angle.sin()) + image as f32).sin()
//! });
//! let set = |images: std::ops::Range<usize>| StimulusSet::new(18, 32, images.flat_map(grating).collect());
//! let config = SimulationConfig { neurons: 20, repeats: 5, ..Default::default() };
//! let simulated = simulate("sim", &set(0..40)?, &set(40..50)?, &config)?;
//! assert_eq!(simulated.scan.responses().dim(), (40 + 10 * 5, 20));
//! assert_eq!(simulated.truth.expected_responses().dim(), (50, 20));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod behavior;
mod config;
mod design;
mod encoder;
mod gaze;
mod neuron;
mod noise;
mod subunit;
mod truth;

#[cfg(feature = "hdf5")]
pub use crate::format::{read_truth, write_truth};
pub use config::SimulationConfig;
pub use neuron::SimulatedNeuron;
pub use subunit::Subunit;
pub use truth::{SimulationConstants, Truth, truth_for};

use crate::{Error, Neurons, Origin, Result, Scan, ScanParts};
use behavior::Behavior;
use brainprior_images::StimulusSet;
use design::Design;
use encoder::{DRIVE_KNEE, Encoder};
use ndarray::{Array2, Axis, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// A simulated scan with its ground truth.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The scan. Its rows are in order of presentation; its stimuli are the single-trial stimuli,
    /// then the oracle images.
    pub scan: Scan,
    /// The ground truth, one row per stimulus of the scan.
    pub truth: Truth,
}

/// Random streams of one simulation; trial t uses `TRIALS + t`.
const NEURONS: u64 = 0;
const DESIGN: u64 = 1;
const BEHAVIOR: u64 = 2;
const CORTEX: u64 = 3;
const TRIALS: u64 = 1 << 32;

/// Simulates a scan in which the images of `stimuli` are shown once and those of `oracle`
/// repeatedly.
///
/// The same arguments give the same scan, bit for bit, for any number of threads.
///
/// # Errors
/// Returns an error if a number in `config` is out of range, if there are no stimuli, if the sets
/// differ in image size or share an image, or if the stimuli have no contrast.
pub fn simulate(
    name: &str,
    stimuli: &StimulusSet,
    oracle: &StimulusSet,
    config: &SimulationConfig,
) -> Result<Simulated> {
    let _span =
        tracing::info_span!("simulate", scan = name, neurons = config.neurons, seed = config.seed)
            .entered();
    config.check()?;
    let all = united(stimuli, oracle)?;
    let stream = |stream| {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(stream);
        rng
    };
    let (height, width) = (all.height(), all.width());
    let (images, mean, std) = standardized(&all);
    let simulated = neuron::draw_neurons(config, height, width, &mut stream(NEURONS));
    let shown_once = images.slice(s![..stimuli.len(), ..]);
    let mut encoder = Encoder::calibrated(simulated, width, shown_once)?;
    let expected = encoder.rates(images.view());

    let design = Design::draw(stimuli.len(), oracle.len(), config, &mut stream(DESIGN));
    let trials = design.trial_image.len();
    let behavior = Behavior::draw(trials, config.max_gaze_shift, &mut stream(BEHAVIOR));
    noise::set_event_rates(
        encoder.neurons_mut(),
        expected.slice(s![..stimuli.len(), ..]),
        &behavior,
    );

    let mut responses = encoder.rates(seen(&images, width, &design, &behavior).view());
    responses.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(
        |(trial, mut responses)| {
            let mut rng = stream(TRIALS + trial as u64);
            for (response, cell) in responses.iter_mut().zip(encoder.neurons()) {
                let factor =
                    if cell.responsive { behavior.factor(trial, &cell.behavior_gain) } else { 1.0 };
                *response = cell.respond(*response * factor, &mut rng);
            }
        },
    );

    let constants = SimulationConstants {
        seed: config.seed.cast_signed(),
        behavior_mean: behavior.mean,
        behavior_std: behavior.std,
        gaze_matrix: behavior.gaze_matrix,
        pupil_center_mean: behavior.pupil_center_mean,
        image_mean_std: [255.0 * mean, 255.0 * std],
        drive_knee: DRIVE_KNEE,
    };
    let truth =
        Truth::new(expected, Some(all.ids().to_vec()), encoder.neurons().to_vec(), constants)?;
    let scan = Scan::new(ScanParts {
        name: name.to_owned(),
        image_labels: Some((0..all.len() as i64).collect()),
        stimuli: all,
        trial_image: design.trial_image,
        tiers: design.tiers,
        responses,
        behavior: Some(behavior.values),
        pupil_center: Some(behavior.pupil_center),
        neurons: neurons(config.neurons, &mut stream(CORTEX))?,
        trial_idx: None,
        origin: Origin { animal_id: 0, session: 1, scan_idx: 1 },
    })?;
    Ok(Simulated { scan, truth })
}

/// The image in each trial after the gaze shift: `[trials, pixels]`.
fn seen(images: &Array2<f32>, width: usize, design: &Design, behavior: &Behavior) -> Array2<f32> {
    let mut all = Array2::zeros((design.trial_image.len(), images.ncols()));
    all.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(trial, mut seen)| {
        let image = images.row(design.trial_image[trial]);
        let (image, seen) =
            (image.to_slice().expect("row-major"), seen.as_slice_mut().expect("row-major"));
        gaze::shift_image(image, width, behavior.shift(trial), seen);
    });
    all
}

/// The single-trial stimuli, then the oracle images.
fn united(stimuli: &StimulusSet, oracle: &StimulusSet) -> Result<StimulusSet> {
    if stimuli.is_empty() {
        return Err(Error::Simulation {
            what: "stimuli shown once",
            expected: "at least one".into(),
            found: "none".into(),
        });
    }
    let all = StimulusSet::union(&[stimuli, oracle])?;
    match stimuli.len() + oracle.len() - all.len() {
        0 => Ok(all),
        common => Err(Error::Simulation {
            what: "oracle images",
            expected: "none of the stimuli shown once".into(),
            found: format!("{common} of {} among them", oracle.len()),
        }),
    }
}

/// Images `[stimuli, pixels]` minus their overall mean, divided by their overall standard
/// deviation; and both numbers.
fn standardized(stimuli: &StimulusSet) -> (Array2<f32>, f64, f64) {
    let (mean, variance) = encoder::moments(stimuli.pixels().iter().copied());
    let std = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    let pixels =
        stimuli.pixels().iter().map(|pixel| ((f64::from(*pixel) - mean) / std) as f32).collect();
    let shape = (stimuli.len(), stimuli.height() * stimuli.width());
    (Array2::from_shape_vec(shape, pixels).expect("a stimulus set is full"), mean, std)
}

/// Neurons of layer 2/3 of V1, uniformly in a field of view of 0.6 mm; their position is unrelated
/// to their tuning.
fn neurons(count: usize, rng: &mut ChaCha8Rng) -> Result<Neurons> {
    let coordinates = Array2::from_shape_fn((count, 3), |(_, axis)| {
        if axis == 2 { rng.random_range(150.0..300.0) } else { rng.random_range(0.0..600.0) }
    });
    Neurons::new(
        (1..=count as i64).collect(),
        vec!["V1".into(); count],
        vec!["L2/3".into(); count],
        Some(coordinates),
    )
}
