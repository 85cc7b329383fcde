//! Configuration of a fit: every value has a default, and unknown keys are errors.

mod automatic;
mod core;
mod head;
mod training;

use serde::{Deserialize, Serialize};

pub use self::core::{CoreConfig, CoreKind, CoreOutput, KernelStart};
pub use head::{
    GainPlacement, ModulatorConfig, NormalizationConfig, OutputConfig, OutputKind, PositionSource,
    ReadoutConfig, ReadoutKind, ShifterConfig, ShifterKind,
};
pub use training::{LossConfig, LossKind, OptimizationConfig};

use crate::error::{Error, Result};

/// The architecture of a model and how it is trained.
///
/// Sections and keys are those of the pipeline's configuration file. [`Config::default`] adapts to
/// the number of images ([`Config::for_images`]); [`Config::small`] fits in about a minute on two
/// CPU cores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The convolutional core shared by all neurons of all scans.
    pub core: CoreConfig,
    /// The readout of each scan.
    pub readout: ReadoutConfig,
    /// The shifter of each scan with pupil centers.
    pub shifter: ShifterConfig,
    /// The modulator of each scan with behavior.
    pub modulator: ModulatorConfig,
    /// The output nonlinearity.
    pub output: OutputConfig,
    /// Which inputs are normalized.
    pub normalization: NormalizationConfig,
    /// The loss.
    pub loss: LossConfig,
    /// The optimizer and its schedule.
    pub optimization: OptimizationConfig,
}

impl Config {
    /// A fit of about a minute on two CPU cores for two scans of a few hundred neurons and 1,000 to
    /// 1,500 images.
    pub fn small() -> Self {
        Self {
            core: CoreConfig { channels: Some(vec![16, 16, 16]), ..CoreConfig::default() },
            readout: ReadoutConfig { l1: Some(0.01), ..ReadoutConfig::default() },
            optimization: OptimizationConfig {
                batch_images: 32,
                max_epochs: 20,
                patience: Some(3),
                decays: 2,
                ..Default::default()
            },
            ..Self::default()
        }
    }

    /// The static model of Walker et al. 2019 (inception loops), which Li et al. 2019 refer to: an
    /// unpadded first layer that uses only the image, neither images nor responses normalized, an
    /// affine shifter, the gain before ELU + 1, Adam at 0.005 and then 0.001.
    pub fn walker2019() -> Self {
        Self {
            core: CoreConfig {
                channels: Some(vec![32, 32, 32]),
                kernels: vec![15, 3, 3],
                stride: 1,
                pad_input: false,
                contrast_window: None,
                start: KernelStart::Normal,
                ..CoreConfig::default()
            },
            readout: ReadoutConfig { l1: Some(0.001), ..ReadoutConfig::default() },
            shifter: ShifterConfig { kind: ShifterKind::Affine, ..ShifterConfig::default() },
            modulator: ModulatorConfig {
                hidden: 10,
                placement: GainPlacement::BeforeOutput,
                l2: 0.0,
                ..ModulatorConfig::default()
            },
            normalization: NormalizationConfig { images: false, responses: false },
            optimization: OptimizationConfig {
                batch_images: 125,
                max_epochs: 500,
                patience: Some(10),
                decays: 1,
                decay_factor: 0.2,
                averaging: 0.0,
                ..OptimizationConfig::default()
            },
            ..Self::default()
        }
    }

    /// Checks that every value is in range.
    ///
    /// # Errors
    /// Returns [`Error::Configuration`] with the first key out of range.
    pub fn check(&self) -> Result<()> {
        if let Some(window) = self.core.contrast_window
            && !(window.is_finite() && window > 0.0)
        {
            return Err(out_of_range(
                "core.contrast_window",
                &window,
                "a finite number > 0, or \"none\"",
            ));
        }
        let positive = "a finite number > 0";
        let not_negative = "a finite number >= 0";
        let Config {
            core,
            readout,
            shifter,
            modulator,
            output,
            normalization: _,
            loss,
            optimization: o,
        } = self;
        if let Some(channels) = &core.channels
            && (channels.is_empty() || channels.contains(&0))
        {
            return Err(out_of_range(
                "core.channels",
                channels,
                "at least one layer, each with at least one channel",
            ));
        }
        let layers = core.channels.as_ref().map_or(core.kernels.len().max(1), Vec::len);
        if core.kernels.len() != layers || core.kernels.iter().any(|k| k % 2 == 0) {
            return Err(out_of_range(
                "core.kernels",
                &core.kernels,
                "an odd size for each layer of core.channels",
            ));
        }
        for (key, value) in [
            ("core.stride", core.stride),
            ("shifter.hidden", shifter.hidden),
            ("modulator.hidden", modulator.hidden),
            ("optimization.batch_images", o.batch_images),
            ("optimization.max_epochs", o.max_epochs),
            ("optimization.patience", o.patience.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(out_of_range(key, &value, "at least 1"));
            }
        }
        if core.start == KernelStart::Gabor && core.kernels[0] < 5 {
            return Err(out_of_range(
                "core.kernels",
                &core.kernels,
                "a first kernel of at least 5 pixels for core.start = \"gabor\"",
            ));
        }
        if readout.kind == ReadoutKind::Factorized && shifter.enabled {
            return Err(out_of_range(
                "shifter.enabled",
                &true,
                "false with readout.kind = \"factorized\", whose maps do not shift",
            ));
        }
        if !(1..=8).contains(&readout.levels) {
            return Err(out_of_range("readout.levels", &readout.levels, "1 to 8"));
        }
        for (key, value) in [
            ("loss.poisson_eps", loss.poisson_eps),
            ("loss.zero_threshold", loss.zero_threshold),
            ("readout.spread", readout.spread),
            ("output.beta", output.beta),
            ("optimization.learning_rate", o.learning_rate),
            ("optimization.gradient_clip", o.gradient_clip),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(out_of_range(key, &value, positive));
            }
        }
        for (key, value) in [
            ("core.smoothness", core.smoothness),
            ("core.group_sparsity", core.group_sparsity),
            ("core.l2", core.l2),
            ("readout.l1", readout.l1.unwrap_or_default()),
            ("modulator.l2", modulator.l2),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(out_of_range(key, &value, not_negative));
            }
        }
        for (key, value) in
            [("optimization.decay_factor", o.decay_factor), ("optimization.averaging", o.averaging)]
        {
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
        Config::walker2019().check().unwrap();
    }

    #[test]
    fn names_the_key_out_of_range() {
        let mut config = Config::default();
        config.core.kernels = vec![13, 4, 3];
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("core.kernels") && message.contains("[13, 4, 3]"), "{message}");
    }

    #[test]
    fn no_contrast_is_a_word() {
        let none: Config =
            serde_json::from_str(r#"{"core": {"contrast_window": "none"}}"#).unwrap();
        assert_eq!(none.core.contrast_window, None);
        assert!(serde_json::to_string(&none).unwrap().contains(r#""contrast_window":"none""#));
        let some: Config = serde_json::from_str(r#"{"core": {"contrast_window": 10}}"#).unwrap();
        assert_eq!(some.core.contrast_window, Some(10.0));
        let zero: Config = serde_json::from_str(r#"{"core": {"contrast_window": 0}}"#).unwrap();
        assert!(zero.check().unwrap_err().to_string().contains("or \"none\""));
        assert!(serde_json::from_str::<Config>(r#"{"core": {"contrast_window": "no"}}"#).is_err());
    }

    #[test]
    fn refuses_unknown_keys() {
        let error = serde_json::from_str::<Config>(r#"{"core": {"chanels": [8]}}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("chanels"), "{error}");
        let partial: Config = serde_json::from_str(r#"{"core": {"stride": 1}}"#).unwrap();
        assert_eq!(partial.core.channels, Config::default().core.channels);
    }
}
