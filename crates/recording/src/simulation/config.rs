//! Configuration of a simulation.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Configuration of a simulated scan: its size, and what hides the signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulationConfig {
    /// Number of neurons.
    pub neurons: usize,
    /// Seed of all random numbers.
    pub seed: u64,
    /// How often each oracle image is shown.
    pub repeats: usize,
    /// Fraction of the single-trial stimuli in tier validation.
    pub validation_fraction: f64,
    /// Fraction of the neurons that fire at a constant rate, whatever the image and the behavior.
    pub fraction_unresponsive: f64,
    /// Multiplies every neuron's behavioral gain: 1 as in awake mice, 0 for no effect of behavior.
    pub behavior_gain: f64,
    /// Largest gaze shift of the image in pixels; 0 for a fixed gaze.
    pub max_gaze_shift: f64,
}

impl Default for SimulationConfig {
    fn default() -> Self {
        Self {
            neurons: 300,
            seed: 1,
            repeats: 10,
            validation_fraction: 0.1,
            fraction_unresponsive: 0.1,
            behavior_gain: 1.0,
            max_gaze_shift: 3.0,
        }
    }
}

impl SimulationConfig {
    /// Checks that every number is in range.
    ///
    /// # Errors
    /// Returns [`Error::Simulation`] if there are no neurons or repeats, if a fraction is outside
    /// [0, 1], or if a gain or shift is negative or not finite.
    pub fn check(&self) -> Result<()> {
        for (what, count) in [("neurons", self.neurons), ("repeats", self.repeats)] {
            if count == 0 {
                return Err(Error::Simulation {
                    what,
                    expected: "at least 1".into(),
                    found: "0".into(),
                });
            }
        }
        for (what, value, highest) in [
            ("validation_fraction", self.validation_fraction, 1.0),
            ("fraction_unresponsive", self.fraction_unresponsive, 1.0),
            ("behavior_gain", self.behavior_gain, f64::MAX),
            ("max_gaze_shift", self.max_gaze_shift, f64::MAX),
        ] {
            if !(0.0..=highest).contains(&value) {
                let expected =
                    if highest == 1.0 { "a fraction in [0, 1]" } else { "a number of at least 0" };
                return Err(Error::Simulation {
                    what,
                    expected: expected.into(),
                    found: value.to_string(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_named() {
        SimulationConfig::default().check().unwrap();
        for (config, name) in [
            (SimulationConfig { neurons: 0, ..Default::default() }, "neurons"),
            (SimulationConfig { repeats: 0, ..Default::default() }, "repeats"),
            (
                SimulationConfig { validation_fraction: 1.5, ..Default::default() },
                "validation_fraction",
            ),
            (
                SimulationConfig { fraction_unresponsive: f64::NAN, ..Default::default() },
                "fraction_unresponsive",
            ),
            (SimulationConfig { max_gaze_shift: -1.0, ..Default::default() }, "max_gaze_shift"),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
