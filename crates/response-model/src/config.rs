//! Configuration of a fit: every value has a default, unknown keys are refused.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a fit builds and how it trains.
///
/// Sections and keys are those of the pipeline's configuration file. [`Config::default`] is meant for scans of
/// thousands of trials; [`Config::small`] for a budget of about a minute on two processor cores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The convolutional core that all neurons of all scans share.
    pub core: CoreConfig,
    /// The readout of each scan.
    pub readout: ReadoutConfig,
    /// The shifter of each scan with a pupil centre.
    pub shifter: ShifterConfig,
    /// The modulator of each scan with behaviour.
    pub modulator: ModulatorConfig,
    /// The loss.
    pub loss: LossConfig,
    /// The optimiser and its schedule.
    pub optimisation: OptimisationConfig,
}

/// The dense core: layer l reads all earlier layers' outputs; convolution without bias, batch norm, ELU (Sinz et al. 2018).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoreConfig {
    /// Output channels of each layer.
    pub channels: Vec<usize>,
    /// Side of each layer's square kernels, pixels of that layer's input; odd.
    pub kernels: Vec<usize>,
    /// Stride of the first layer, pixels. 2 makes everything behind it four times cheaper; half a cycle must still be
    /// longer than the stride at the finest tuning.
    pub stride: usize,
    /// Weight of the squared Laplacian of the first layer's kernels, as a share of their squared norm.
    pub smoothness: f64,
    /// Weight of the group sparsity of the later layers' kernels: sum of the norms of the planes, over the layer's norm.
    pub group_sparsity: f64,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self { channels: vec![32, 32, 32], kernels: vec![13, 3, 3], stride: 2, smoothness: 0.02, group_sparsity: 0.0005 }
    }
}

/// The pyramid readout: one position per neuron, read at several scales, then a linear map (Sinz et al. 2018).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadoutConfig {
    /// Scales: the core's output, and its averages over blocks of 2, 4, ... pixels.
    pub levels: usize,
    /// Weight of the mean over neurons of the sum of absolute weights.
    pub l1: f64,
}

impl Default for ReadoutConfig {
    fn default() -> Self {
        Self { levels: 5, l1: 0.005 }
    }
}

/// The shifter: a perceptron from the z-scored pupil centre to a shift of all receptive fields (Walker et al. 2019).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShifterConfig {
    /// False: receptive fields do not move, whatever the pupil does.
    pub enabled: bool,
    /// Units of the hidden layer.
    pub hidden: usize,
}

impl Default for ShifterConfig {
    fn default() -> Self {
        Self { enabled: true, hidden: 5 }
    }
}

/// The modulator: a perceptron from z-scored behaviour to the logarithm of a gain per neuron (Sinz et al. 2018).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModulatorConfig {
    /// False: rates do not depend on behaviour.
    pub enabled: bool,
    /// Units of the hidden layer, the rank of the gains.
    pub hidden: usize,
    /// Where the gain enters.
    pub placement: GainPlacement,
    /// Weight of the mean over neurons of the squared weights of the last layer.
    pub l2: f64,
}

impl Default for ModulatorConfig {
    fn default() -> Self {
        Self { enabled: true, hidden: 8, placement: GainPlacement::OnRate, l2: 0.05 }
    }
}

/// Where the modulator's gain enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GainPlacement {
    /// On the readout's value, before the output nonlinearity: ELU(gain x) + 1. For values below zero, that is rates
    /// below one standard deviation, a larger gain means a lower rate; sparse neurons then learn inverted gains.
    BeforeOutput,
    /// On the rate, gain (ELU(x) + 1): the gain is what multiplies the expected response.
    OnRate,
}

/// The loss between rate and response, both in units of the neuron's training standard deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// Added to the rate within the logarithm of the Poisson loss, rate - response log(rate + eps).
    pub poisson_eps: f64,
    /// True: negative responses are taken as 0. False: they are an error.
    pub rectify_negative: bool,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { poisson_eps: 1e-8, rectify_negative: false }
    }
}

/// Adam with decays on the plateau of the validation correlation (Lurz et al. 2021).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimisationConfig {
    /// Adam's learning rate in the first epoch.
    pub learning_rate: f64,
    /// Distinct images a step; every scan contributes its trials of these.
    pub batch_images: usize,
    /// Epochs at most.
    pub max_epochs: usize,
    /// Epochs without a better validation correlation before a decay.
    pub patience: usize,
    /// Decays; the fit ends at the plateau after the last.
    pub decays: usize,
    /// Factor of the learning rate at a decay; the best state is restored with it.
    pub decay_factor: f64,
    /// Largest norm of the whole gradient; longer ones are scaled down.
    pub gradient_clip: f64,
    /// Decay a step of the running average of the parameters that is validated and kept (Polyak averaging); 0 keeps
    /// the parameters themselves.
    pub averaging: f64,
}

impl Default for OptimisationConfig {
    fn default() -> Self {
        Self {
            learning_rate: 5e-3,
            batch_images: 64,
            max_epochs: 200,
            patience: 5,
            decays: 3,
            decay_factor: 0.3,
            gradient_clip: 10.0,
            averaging: 0.99,
        }
    }
}

impl Config {
    /// About a minute on two processor cores for two scans of a few hundred neurons and 1,000 to 1,500 images.
    pub fn small() -> Self {
        Self {
            core: CoreConfig { channels: vec![16, 16, 16], kernels: vec![17, 3, 3], ..CoreConfig::default() },
            readout: ReadoutConfig { l1: 0.01, ..ReadoutConfig::default() },
            optimisation: OptimisationConfig { batch_images: 32, max_epochs: 20, patience: 3, decays: 2, ..Default::default() },
            ..Self::default()
        }
    }

    /// Checks every value's range.
    ///
    /// # Errors
    /// [`Error::Configuration`] names the first key out of range.
    pub fn check(&self) -> Result<()> {
        let positive = "a finite number > 0";
        let not_negative = "a finite number >= 0";
        let Config { core, readout, shifter, modulator, loss, optimisation: o } = self;
        if core.channels.is_empty() || core.channels.contains(&0) {
            return Err(out_of_range("core.channels", &core.channels, "at least one layer, each of at least one channel"));
        }
        if core.kernels.len() != core.channels.len() || core.kernels.iter().any(|k| k % 2 == 0) {
            return Err(out_of_range("core.kernels", &core.kernels, "an odd side for each layer of core.channels"));
        }
        for (key, value) in [
            ("core.stride", core.stride),
            ("shifter.hidden", shifter.hidden),
            ("modulator.hidden", modulator.hidden),
            ("optimisation.batch_images", o.batch_images),
            ("optimisation.max_epochs", o.max_epochs),
            ("optimisation.patience", o.patience),
        ] {
            if value == 0 {
                return Err(out_of_range(key, &value, "at least 1"));
            }
        }
        if !(1..=8).contains(&readout.levels) {
            return Err(out_of_range("readout.levels", &readout.levels, "1 to 8"));
        }
        for (key, value) in [
            ("loss.poisson_eps", loss.poisson_eps),
            ("optimisation.learning_rate", o.learning_rate),
            ("optimisation.gradient_clip", o.gradient_clip),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(out_of_range(key, &value, positive));
            }
        }
        for (key, value) in [
            ("core.smoothness", core.smoothness),
            ("core.group_sparsity", core.group_sparsity),
            ("readout.l1", readout.l1),
            ("modulator.l2", modulator.l2),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(out_of_range(key, &value, not_negative));
            }
        }
        for (key, value) in [("optimisation.decay_factor", o.decay_factor), ("optimisation.averaging", o.averaging)] {
            if !(0.0..1.0).contains(&value) {
                return Err(out_of_range(key, &value, "at least 0 and below 1"));
            }
        }
        Ok(())
    }
}

fn out_of_range(key: &'static str, found: &impl std::fmt::Debug, expected: &'static str) -> Error {
    Error::Configuration { key, found: format!("{found:?}"), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_in_range() {
        Config::default().check().unwrap();
        Config::small().check().unwrap();
    }

    #[test]
    fn names_the_key_out_of_range() {
        let mut config = Config::default();
        config.core.kernels = vec![13, 4, 3];
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("core.kernels") && message.contains("[13, 4, 3]"), "{message}");
    }

    #[test]
    fn refuses_unknown_keys() {
        let error = serde_json::from_str::<Config>(r#"{"core": {"chanels": [8]}}"#).unwrap_err().to_string();
        assert!(error.contains("chanels"), "{error}");
        let partial: Config = serde_json::from_str(r#"{"core": {"stride": 1}}"#).unwrap();
        assert_eq!(partial.core.channels, Config::default().core.channels);
    }
}
