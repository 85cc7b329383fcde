//! Simulated neurons, and the distributions of their parameters.

use super::{SimulationConfig, Subunit};
use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Normal};
use std::f32::consts::{PI, TAU};

/// Lowest and highest spatial frequency, in cycles per pixel.
const FREQUENCIES: (f32, f32) = (0.012, 0.16);
/// Smallest and largest envelope, in pixels.
const SIGMAS: (f32, f32) = (1.5, 10.0);
/// Carrier cycles per standard deviation of the envelope.
const CYCLES: f32 = 0.35;
/// Subunits per neuron.
pub(super) const SUBUNITS: usize = 3;
/// Fraction of the subunits with an ON or OFF luminance component.
const LUMINANCE_SHARE: f64 = 0.5;
/// Standard deviation of the receptive field centers around the center of the scan, relative to the
/// image height. A field of view of 0.6 mm covers some 30 degrees, and 64 x 36 pixels span about
/// 120 x 70.
const FIELD_OF_VIEW: f32 = 1.0 / 6.0;
/// Standard deviation of the subunit centers around that of the neuron, in units of its envelope.
const SCATTER: f32 = 0.8;

/// One simulated neuron. Lengths are in pixels, angles in radians; the formulas are in the
/// documentation of the
/// [module](super).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedNeuron {
    /// Whether the neuron responds to images; if not, it fires at a constant rate with noise.
    pub responsive: bool,
    /// Center of the receptive field, columns from the left.
    pub x: f32,
    /// Center of the receptive field, rows from the top.
    pub y: f32,
    /// The excitatory and inhibitory subunits.
    pub subunits: Vec<Subunit>,
    /// Threshold on the weighted sum of the subunits.
    pub threshold: f32,
    /// Standard deviation of the surround window.
    pub surround_sigma: f32,
    /// Median contrast of the surround over the stimuli.
    pub surround_scale: f32,
    /// How much a surround of median contrast adds to the divisor.
    pub suppression: f32,
    /// Exponent of the suppressed drive.
    pub exponent: f32,
    /// Mean of the suppressed drive after the exponent.
    pub drive_scale: f32,
    /// Mean of the drive after saturation.
    pub saturated_drive_mean: f32,
    /// Fraction of the mean rate that is independent of the image.
    pub baseline_fraction: f32,
    /// Mean response at mean behavior.
    pub mean_rate: f32,
    /// Variance of the expected responses over the single-trial stimuli.
    pub signal_variance: f32,
    /// Target fraction of `signal_variance` in the variance of single trials.
    pub target_snr: f32,
    /// Shape of the gamma distribution of event sizes.
    pub event_gamma_shape: f32,
    /// Poisson events per unit of rate.
    pub events_per_unit_rate: f32,
    /// Gain per standard deviation of pupil dilation, its derivative and running speed.
    pub behavior_gain: [f32; 3],
}

/// Draws the neurons of a scan around one place in the image. Parameters that depend on the stimuli
/// are still 0; `luminance` is relative to the Gabor component, and `threshold` to the mean of the
/// weighted sum.
pub(super) fn draw_neurons(
    config: &SimulationConfig,
    height: usize,
    width: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<SimulatedNeuron> {
    let unresponsive = (config.fraction_unresponsive * config.neurons as f64).round() as usize;
    let mut responsive: Vec<bool> =
        (0..config.neurons).map(|neuron| neuron >= unresponsive).collect();
    responsive.shuffle(rng);
    let size = [width as f32 - 1.0, height as f32 - 1.0];
    let center = size.map(|length| rng.random_range(0.4..0.6) * length);
    responsive
        .into_iter()
        .map(|responsive| draw_neuron(responsive, config, size, center, rng))
        .collect()
}

fn draw_neuron(
    responsive: bool,
    config: &SimulationConfig,
    size: [f32; 2],
    center: [f32; 2],
    rng: &mut ChaCha8Rng,
) -> SimulatedNeuron {
    let spread = FIELD_OF_VIEW * (size[1] + 1.0);
    let [x, y] = [0, 1]
        .map(|axis| normal(rng, center[axis], spread).clamp(0.05 * size[axis], 0.95 * size[axis]));
    let frequency = log_normal(rng, 0.028, 0.8).clamp(FREQUENCIES.0, FREQUENCIES.1);
    let largest = SIGMAS.1.min(size[0].min(size[1]) / 3.6).max(SIGMAS.0);
    let envelope = (CYCLES / frequency).clamp(SIGMAS.0, largest);
    let subunits = (0..SUBUNITS)
        .map(|index| {
            let spatial_frequency =
                (frequency * log_normal(rng, 1.0, 0.3)).clamp(FREQUENCIES.0, FREQUENCIES.1);
            let [x, y] = [(x, size[0]), (y, size[1])]
                .map(|(at, last)| normal(rng, at, SCATTER * envelope).clamp(0.0, last));
            let luminance = if rng.random_bool(LUMINANCE_SHARE) {
                rng.random_range(0.4..1.1) * if rng.random_bool(0.5) { 1.0 } else { -1.0 }
            } else {
                0.0
            };
            // The first subunit excites; a third of the others inhibit.
            let weight = normal(rng, 0.0, 1.0).abs();
            let weight = if index == 0 {
                weight.max(1.0)
            } else {
                weight * if rng.random_bool(0.67) { 1.0 } else { -1.0 }
            };
            Subunit {
                x,
                y,
                orientation: rng.random_range(0.0..PI),
                phase: rng.random_range(0.0..TAU),
                spatial_frequency,
                sigma: (CYCLES / spatial_frequency * log_normal(rng, 1.0, 0.2))
                    .clamp(SIGMAS.0, largest),
                aspect: rng.random_range(0.6..1.0),
                complex_weight: rng.random_range(0.4..1.0),
                luminance,
                semisaturation: rng.random_range(0.15..0.6),
                weight,
                ..Subunit::default()
            }
        })
        .collect();
    let gain = |rng: &mut ChaCha8Rng, mean: f32, std: f32| {
        config.behavior_gain as f32 * normal(rng, mean, std)
    };
    SimulatedNeuron {
        responsive,
        x,
        y,
        subunits,
        threshold: 0.5,
        surround_sigma: 2.5 * envelope,
        suppression: rng.random_range(0.2..0.8),
        exponent: rng.random_range(1.0..1.6),
        baseline_fraction: rng.random_range(0.0..0.3),
        mean_rate: log_normal(rng, 1.0, 0.4),
        target_snr: log_normal(rng, 0.25, 0.4).clamp(0.1, 0.55),
        event_gamma_shape: rng.random_range(2.0..8.0),
        behavior_gain: [gain(rng, 0.1, 0.12), gain(rng, 0.03, 0.05), gain(rng, 0.12, 0.12)],
        ..SimulatedNeuron::default()
    }
}

fn normal(rng: &mut ChaCha8Rng, mean: f32, std: f32) -> f32 {
    Normal::new(mean, std).expect("a finite standard deviation").sample(rng)
}

/// A log-normal value, given the median and the standard deviation of its logarithm.
fn log_normal(rng: &mut ChaCha8Rng, median: f32, spread: f32) -> f32 {
    LogNormal::new(median.ln(), spread).expect("a finite spread").sample(rng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn marginals_are_those_stated() {
        let config = SimulationConfig { neurons: 4000, ..Default::default() };
        let neurons = draw_neurons(&config, 36, 64, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(neurons.iter().filter(|cell| !cell.responsive).count(), 400);
        let quantile = |field: fn(&SimulatedNeuron) -> f32, q: f64| {
            let mut values: Vec<f32> = neurons.iter().map(field).collect();
            values.sort_by(f32::total_cmp);
            values[(q * (values.len() - 1) as f64) as usize]
        };
        let within = |value: f32, low: f32, high: f32| {
            assert!((low..high).contains(&value), "{value} outside [{low}, {high})")
        };
        within(quantile(|cell| cell.subunits[0].spatial_frequency, 0.5), 0.027, 0.033);
        within(quantile(|cell| cell.subunits[0].spatial_frequency, 0.25), 0.015, 0.019);
        within(quantile(|cell| cell.subunits[0].spatial_frequency, 0.75), 0.047, 0.058);
        within(quantile(|cell| cell.target_snr, 0.05), 0.11, 0.15);
        within(quantile(|cell| cell.target_snr, 0.5), 0.24, 0.26);
        within(quantile(|cell| cell.target_snr, 0.95), 0.44, 0.52);
        within(quantile(|cell| cell.mean_rate, 0.5), 0.95, 1.05);
        within(quantile(|cell| cell.behavior_gain[2], 0.5), 0.105, 0.135);
        let units = || neurons.iter().flat_map(|cell| &cell.subunits);
        let share = |holds: fn(&Subunit) -> bool| {
            units().filter(|unit| holds(unit)).count() as f64 / units().count() as f64
        };
        let (luminance, inhibiting) =
            (share(|unit| unit.luminance != 0.0), share(|unit| unit.weight < 0.0));
        assert!(
            (0.48..0.52).contains(&luminance) && (0.2..0.24).contains(&inhibiting),
            "{luminance}, {inhibiting}"
        );
        assert!(neurons.iter().all(|cell| cell.subunits[0].weight >= 1.0));
        assert!(
            neurons
                .iter()
                .all(|cell| (0.0..64.0).contains(&cell.x) && (0.0..36.0).contains(&cell.y))
        );
    }
}
