//! The neurons of a simulated scan and the distributions that they are drawn from.

use super::SimulationConfig;
use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Normal};
use std::f32::consts::{PI, TAU};

/// Lowest and highest spatial frequency, cycles per pixel.
const FREQUENCIES: (f32, f32) = (0.012, 0.16);
/// Smallest and largest envelope, pixels.
const SIGMAS: (f32, f32) = (2.0, 10.0);
/// Share of the neurons with an ON or OFF luminance part.
const LUMINANCE_SHARE: f64 = 0.65;

/// One simulated neuron. Lengths are pixels, angles radians; the formulas are in the documentation of the
/// [module](super).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedNeuron {
    /// `false`: noise around a constant rate.
    pub responsive: bool,
    /// Receptive field centre, columns from the left.
    pub x: f32,
    /// Receptive field centre, rows from the top.
    pub y: f32,
    /// Direction along which the carrier varies, from the x axis towards rows further down.
    pub orientation: f32,
    /// Phase of the even carrier at the centre.
    pub phase: f32,
    /// Frequency of the carrier, cycles per pixel.
    pub spatial_frequency: f32,
    /// Standard deviation of the envelope across the bars.
    pub sigma: f32,
    /// `sigma` over the envelope's standard deviation along the bars.
    pub aspect: f32,
    /// Share of the energy in the drive: 0 for a simple cell, 1 for a complex cell.
    pub complex_weight: f32,
    /// Weight of the local mean luminance in the simple part; ON above 0, OFF below.
    pub luminance: f32,
    /// Median local contrast over the stimuli.
    pub contrast_scale: f32,
    /// Semisaturation of the divisive normalisation, in units of `contrast_scale`.
    pub semisaturation: f32,
    /// Power of the normalized drive.
    pub exponent: f32,
    /// Mean of the normalized drive after the power.
    pub drive_scale: f32,
    /// Mean of the drive after the soft ceiling.
    pub saturated_drive_mean: f32,
    /// Share of the mean rate that ignores the image.
    pub baseline_fraction: f32,
    /// Mean response at mean behaviour.
    pub mean_rate: f32,
    /// Variance of the expected responses over the stimuli shown once.
    pub signal_variance: f32,
    /// Wanted share of `signal_variance` in the variance of a single trial.
    pub target_snr: f32,
    /// Shape of the gamma distribution of one event's size.
    pub event_gamma_shape: f32,
    /// Poisson events per unit of rate.
    pub events_per_unit_rate: f32,
    /// Gain per standard deviation of pupil dilation, its derivative and running speed.
    pub behavior_gain: [f32; 3],
}

/// Draws the neurons; what depends on the stimuli is still 0, and `luminance` is relative to the Gabor part.
///
/// Spatial frequencies are log-normal around 0.045 cycles per pixel (0.026 to 0.077 between the quartiles), where mouse
/// V1 lies when 64 pixels span the stimulus of the paper; envelopes shrink with frequency, a third of a cycle wide.
pub(super) fn draw_neurons(config: &SimulationConfig, height: usize, width: usize, rng: &mut ChaCha8Rng) -> Vec<SimulatedNeuron> {
    let unresponsive = (config.fraction_unresponsive * config.neurons as f64).round() as usize;
    let mut responsive: Vec<bool> = (0..config.neurons).map(|neuron| neuron >= unresponsive).collect();
    responsive.shuffle(rng);
    responsive.into_iter().map(|responsive| draw_neuron(responsive, config, height as f32, width as f32, rng)).collect()
}

fn draw_neuron(responsive: bool, config: &SimulationConfig, height: f32, width: f32, rng: &mut ChaCha8Rng) -> SimulatedNeuron {
    let spatial_frequency = log_normal(rng, 0.045, 0.8).clamp(FREQUENCIES.0, FREQUENCIES.1);
    let largest = SIGMAS.1.min(height.min(width) / 3.6).max(SIGMAS.0);
    let sigma = (0.35 / spatial_frequency * log_normal(rng, 1.0, 0.2)).clamp(SIGMAS.0, largest);
    let luminance = if rng.random_bool(LUMINANCE_SHARE) {
        rng.random_range(0.5..3.0) * if rng.random_bool(0.5) { 1.0 } else { -1.0 }
    } else {
        0.0
    };
    let gain = |rng: &mut ChaCha8Rng, mean: f32, std: f32| config.behavior_gain as f32 * normal(rng, mean, std);
    SimulatedNeuron {
        responsive,
        x: rng.random_range(0.1..0.9) * (width - 1.0),
        y: rng.random_range(0.12..0.88) * (height - 1.0),
        orientation: rng.random_range(0.0..PI),
        phase: rng.random_range(0.0..TAU),
        spatial_frequency,
        sigma,
        aspect: rng.random_range(0.6..1.0),
        complex_weight: rng.random_range(0.0..1.0),
        luminance,
        semisaturation: rng.random_range(1.5..4.0),
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

/// Log-normal by its median and the standard deviation of its logarithm.
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
        let within = |value: f32, low: f32, high: f32| assert!((low..high).contains(&value), "{value} outside [{low}, {high})");
        within(quantile(|cell| cell.spatial_frequency, 0.5), 0.042, 0.048);
        within(quantile(|cell| cell.spatial_frequency, 0.25), 0.024, 0.029);
        within(quantile(|cell| cell.spatial_frequency, 0.75), 0.072, 0.083);
        within(quantile(|cell| cell.target_snr, 0.05), 0.11, 0.15);
        within(quantile(|cell| cell.target_snr, 0.5), 0.24, 0.26);
        within(quantile(|cell| cell.target_snr, 0.95), 0.44, 0.52);
        within(quantile(|cell| cell.mean_rate, 0.5), 0.95, 1.05);
        within(quantile(|cell| cell.behavior_gain[2], 0.5), 0.105, 0.135);
        let luminance = neurons.iter().filter(|cell| cell.luminance != 0.0).count() as f64 / 4000.0;
        assert!((0.61..0.69).contains(&luminance), "{luminance}");
        assert!(neurons.iter().all(|cell| (0.0..64.0).contains(&cell.x) && (0.0..36.0).contains(&cell.y)));
    }
}
