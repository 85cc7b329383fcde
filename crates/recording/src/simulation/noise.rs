//! Overdispersed response noise.

use super::behavior::Behavior;
use super::encoder::moments;
use super::neuron::SimulatedNeuron;
use ndarray::ArrayView2;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson};
use rayon::prelude::*;

/// Smallest fraction of the target single-trial variance left to event noise if behavior accounts
/// for the rest.
const LEAST_NOISE: f64 = 0.25;
/// Mean number of events per trial of an unresponsive neuron.
const UNRESPONSIVE_EVENTS: f32 = 0.8;

impl SimulatedNeuron {
    /// Draws a response at `rate`: a Poisson number of gamma-distributed events, in units of rate.
    pub(super) fn respond(&self, rate: f32, rng: &mut ChaCha8Rng) -> f32 {
        let events = rate * self.events_per_unit_rate;
        let count = if events > 0.0 {
            Poisson::new(events).expect("a positive rate").sample(rng)
        } else {
            0.0
        };
        if count == 0.0 {
            return 0.0;
        }
        // The sum of n gamma variables with one shape is gamma with n times that shape.
        let shape = self.event_gamma_shape;
        Gamma::new(count * shape, shape.recip()).expect("a positive shape").sample(rng)
            / self.events_per_unit_rate
    }
}

/// Sets the events per unit of rate so that the signal has its target fraction of the single-trial
/// variance, of which behavior takes its part first. `expected` are the responses `[stimuli,
/// neurons]` to the single-trial stimuli.
pub(super) fn set_event_rates(
    neurons: &mut [SimulatedNeuron],
    expected: ArrayView2<f32>,
    behavior: &Behavior,
) {
    let trials = behavior.values.nrows();
    neurons.par_iter_mut().enumerate().for_each(|(neuron, cell)| {
        if !cell.responsive {
            cell.events_per_unit_rate = UNRESPONSIVE_EVENTS / cell.mean_rate;
            return;
        }
        let (rate, signal) = moments(expected.column(neuron).iter().copied());
        let (factor, spread) =
            moments((0..trials).map(|trial| behavior.factor(trial, &cell.behavior_gain)));
        let wanted = signal / f64::from(cell.target_snr);
        // Image and behavior are independent: Var[RG] = E[R^2] E[G^2] - E[R]^2 E[G]^2.
        let modulated =
            (rate * rate + signal) * (factor * factor + spread) - (rate * factor).powi(2);
        let noise = (wanted - modulated).max(LEAST_NOISE * wanted);
        let per_event = 1.0 + 1.0 / f64::from(cell.event_gamma_shape);
        cell.events_per_unit_rate = (rate * factor * per_event / noise) as f32;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn responses_have_the_mean_and_variance_of_a_compound_poisson() {
        let cell = SimulatedNeuron {
            event_gamma_shape: 3.0,
            events_per_unit_rate: 0.7,
            ..Default::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for rate in [0.3_f32, 1.0, 40.0] {
            let samples: Vec<f32> = (0..60_000).map(|_| cell.respond(rate, &mut rng)).collect();
            let (mean, variance) = moments(samples.iter().copied());
            let expected = f64::from(rate) / 0.7 * (1.0 + 1.0 / 3.0);
            assert!((mean / f64::from(rate) - 1.0).abs() < 0.03, "{rate}: mean {mean}");
            assert!(
                (variance / expected - 1.0).abs() < 0.05,
                "{rate}: variance {variance}, expected {expected}"
            );
        }
        assert_eq!(cell.respond(0.0, &mut rng), 0.0);
    }
}
