//! Settings of a network and of its training.

mod choices;
mod network;

pub use choices::{Centering, Mixture, RobustTraining, RunningStatistics};
pub use network::NetConfig;

use crate::{Error, Result};
use brainprior_kernels::Precision;
use serde::{Deserialize, Serialize};

/// Larger values make arctanh useless in f32.
const LARGEST_TARGET: f64 = 0.99999;
/// Fractions of a training that differ by less than this are the same step.
const ROUNDING: f64 = 1e-9;
/// A logit so low that its softmax weight underflows to 0.
const NO_SHARE: f32 = -1e4;

/// Settings of a training. The learning rate schedule is given in fractions of the training, so
/// that it scales with `epochs`. The defaults are the paper's (section 3.3) or, if the paper does
/// not say, those of the public code pixel-reg.
///
/// The channels and classes of the network are those of the labeled images. In text form, every
/// setting has the name of its field; omitted settings have their defaults, unknown names are
/// rejected, and [`TrainConfig::check`] rejects values out of range:
///
/// ```
/// use brainprior_classifier::{Mixture, RobustTraining, TrainConfig};
///
/// let config: TrainConfig = toml::from_str(
///     r#"
///     blocks = [1, 1, 1, 1]
///     base_channels = 8
///     alpha = 80.0
///     alpha_warm_up = 0.25
///     layers = [0, 2]                                               # default: all
///     mixture = { fixed = [3, 1] }                                  # or "learned"
///     centering = "batch"                                           # or "running"
///     running_statistics = "shared"                                 # or "separate"
///     robust_training = { adversarial = { epsilon = 0.016, steps = 5 } } # or { noise = { std = 0.2 } }, or "none"
///     "#,
/// )?;
/// config.check()?;
/// assert_eq!(config.mixture, Mixture::Fixed(vec![3.0, 1.0]));
/// assert_eq!(config.robust_training, RobustTraining::Adversarial { epsilon: 0.016, steps: 5 });
/// assert_eq!(config.epochs, TrainConfig::default().epochs);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Blocks per stage, as in [`NetConfig`].
    pub blocks: Vec<usize>,
    /// Channels of the stem and the first stage; 64 in the paper.
    pub base_channels: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Labeled images per step.
    pub batch: usize,
    /// Initial learning rate, also after the restart.
    pub learning_rate: f64,
    /// Factor of the learning rate at each decay.
    pub decay: f64,
    /// Fraction of the training between decays: 0.1 is every 4 of 40 epochs.
    pub decay_every: f64,
    /// Fraction of the training after which the learning rate schedule restarts: 0.5 is epoch 20 of
    /// 40; 1 for never.
    pub restart_at: f64,
    /// Momentum of SGD, in PyTorch's form.
    pub momentum: f64,
    /// Weight decay of the convolutions and the head; scales, shifts, biases and gamma do not
    /// decay. The paper does not say, and the default of pixel-reg is 0; 5e-4 is our choice, usual
    /// for these networks.
    pub weight_decay: f64,
    /// Pairs of stimuli per step; 64 in the paper, 16 in pixel-reg.
    pub pairs: usize,
    /// Weight of the similarity loss.
    pub alpha: f64,
    /// Fraction of the training over which alpha increases linearly from 0. `None` keeps it
    /// constant, as in the paper.
    pub alpha_warm_up: Option<f64>,
    /// Layers whose similarities are combined: 0 is the stem, s the output of stage s. `None` for
    /// all.
    pub layers: Option<Vec<usize>>,
    /// How the layers are combined.
    pub mixture: Mixture,
    /// How features are centered.
    pub centering: Centering,
    /// Targets are clamped to this absolute value, so that arctanh stays finite.
    pub target_limit: f64,
    /// Factor of the similarity loss: 1 is the paper's formula; 4 reproduces pixel-reg, whose loss
    /// is four times as large.
    pub loss_scale: f64,
    /// Which batches update the running statistics.
    pub running_statistics: RunningStatistics,
    /// Fraction of the labeled images held out as validation images, which choose the best epoch;
    /// at least one image.
    pub validation_fraction: f64,
    /// Whether labeled images are randomly cropped (reflect padding 4) and flipped horizontally.
    pub augmentation: bool,
    /// Noise or adversarial training.
    pub robust_training: RobustTraining,
    /// As in [`NetConfig::blur`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<f64>,
    /// Whether to keep the network after every epoch on disk.
    pub snapshots: bool,
    /// Precision of the training steps. Validation and the attacks of adversarial training always
    /// use f32.
    #[serde(skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl Default for TrainConfig {
    fn default() -> Self {
        let net = NetConfig::default();
        Self {
            blocks: net.blocks,
            base_channels: net.base_channels,
            epochs: 40,
            batch: 64,
            learning_rate: 0.1,
            decay: 0.3,
            decay_every: 0.1,
            restart_at: 0.5,
            momentum: 0.9,
            weight_decay: 5e-4,
            pairs: 16,
            alpha: 20.0,
            alpha_warm_up: None,
            layers: None,
            mixture: Mixture::Learned,
            centering: Centering::Running,
            target_limit: LARGEST_TARGET,
            loss_scale: 1.0,
            running_statistics: RunningStatistics::Separate,
            validation_fraction: 0.01,
            augmentation: true,
            robust_training: RobustTraining::None,
            blur: None,
            snapshots: false,
            precision: Precision::F32,
        }
    }
}

impl TrainConfig {
    /// Shape of the network for images with these channels and classes.
    pub fn net(&self, input_channels: usize, classes: usize) -> NetConfig {
        NetConfig {
            blocks: self.blocks.clone(),
            base_channels: self.base_channels,
            input_channels,
            classes,
            blur: self.blur,
        }
    }

    /// Checks the settings as far as possible without the data.
    ///
    /// # Errors
    /// Returns [`Error::Setting`] for the first setting out of range.
    pub fn check(&self) -> Result<()> {
        let any = NetConfig::default();
        self.net(any.input_channels, any.classes).check()?;
        for (setting, value) in
            [("epochs", self.epochs), ("batch", self.batch), ("pairs", self.pairs)]
        {
            ensure(setting, "at least 1", value > 0, || value.to_string())?;
        }
        // The random stream of an image numbers epochs in 24 bits.
        ensure("epochs", "at most 1000000", self.epochs <= 1_000_000, || self.epochs.to_string())?;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        for (setting, value) in
            [("learning_rate", self.learning_rate), ("loss_scale", self.loss_scale)]
        {
            ensure(setting, "a positive number", positive(value), || value.to_string())?;
        }
        for (setting, value) in [("alpha", self.alpha), ("weight_decay", self.weight_decay)] {
            ensure(setting, "a number of at least 0", value == 0.0 || positive(value), || {
                value.to_string()
            })?;
        }
        let parts = [
            ("decay", self.decay),
            ("decay_every", self.decay_every),
            ("restart_at", self.restart_at),
        ];
        for (setting, value) in
            parts.into_iter().chain(self.alpha_warm_up.map(|part| ("alpha_warm_up", part)))
        {
            ensure(setting, "above 0, at most 1", value > 0.0 && value <= 1.0, || {
                value.to_string()
            })?;
        }
        let limit = self.target_limit > 0.0 && self.target_limit <= LARGEST_TARGET;
        ensure("target_limit", "above 0, at most 0.99999", limit, || {
            self.target_limit.to_string()
        })?;
        self.check_layers()?;
        self.check_robust_training()?;
        for (setting, value) in
            [("momentum", self.momentum), ("validation_fraction", self.validation_fraction)]
        {
            ensure(setting, "at least 0, below 1", (0.0..1.0).contains(&value), || {
                value.to_string()
            })?;
        }
        Ok(())
    }

    fn check_layers(&self) -> Result<()> {
        let in_use = self.layers_in_use();
        let mut distinct = in_use.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let known = distinct.len() == in_use.len()
            && distinct.last().is_some_and(|layer| *layer <= self.blocks.len());
        ensure(
            "layers",
            "distinct numbers from 0 (the stem) to the number of stages, at least one",
            known,
            || format!("{in_use:?}"),
        )?;
        let Mixture::Fixed(weights) = &self.mixture else { return Ok(()) };
        let usable = weights.len() == in_use.len()
            && weights.iter().all(|weight| *weight >= 0.0 && weight.is_finite())
            && weights.iter().any(|weight| *weight > 0.0);
        ensure("mixture", "a weight of at least 0 for each layer in use, not all 0", usable, || {
            format!("{weights:?}")
        })
    }

    fn check_robust_training(&self) -> Result<()> {
        let size = |value: f64| value > 0.0 && value <= 1.0;
        match self.robust_training {
            RobustTraining::None => Ok(()),
            RobustTraining::Noise { std } => {
                ensure("robust_training.noise.std", "above 0, at most 1", size(std), || {
                    std.to_string()
                })
            }
            RobustTraining::Adversarial { epsilon, steps } => {
                let within = "above 0, at most 1";
                ensure("robust_training.adversarial.epsilon", within, size(epsilon), || {
                    epsilon.to_string()
                })?;
                ensure("robust_training.adversarial.steps", "at least 1", steps > 0, || {
                    steps.to_string()
                })
            }
        }
    }

    /// The layers whose similarities are combined.
    pub(crate) fn layers_in_use(&self) -> Vec<usize> {
        self.layers.clone().unwrap_or_else(|| (0..=self.blocks.len()).collect())
    }

    /// Initial logits of gamma, one per layer of the network. The weight of an unused layer is
    /// exactly 0 and stays 0, since its gradient is then also 0.
    pub(crate) fn gamma_logits(&self) -> Vec<f32> {
        let mut logits = vec![NO_SHARE; self.blocks.len() + 1];
        let in_use = self.layers_in_use();
        for (index, layer) in in_use.into_iter().enumerate() {
            logits[layer] = match &self.mixture {
                Mixture::Fixed(weights) if weights[index] > 0.0 => weights[index].ln() as f32,
                Mixture::Fixed(_) => NO_SHARE,
                Mixture::Learned => 0.0,
            };
        }
        logits
    }

    /// Weight of the similarity loss at `step` of `steps`.
    pub(crate) fn alpha_at(&self, step: usize, steps: usize) -> f64 {
        let progress = step as f64 / steps as f64;
        match self.alpha_warm_up {
            Some(rise) if progress < rise => self.alpha * progress / rise,
            _ => self.alpha,
        }
    }

    /// Learning rate at `step` of `steps`.
    pub(crate) fn learning_rate_at(&self, step: usize, steps: usize) -> f64 {
        // A boundary on a step belongs to that step, even though fractions are rounded.
        self.learning_rate_from(step as f64 / steps as f64 + ROUNDING)
    }

    /// Learning rate of the last step of an epoch, counted from 0: a snapshot of that epoch has
    /// completed as much of the schedule.
    pub fn learning_rate_after(&self, epoch: usize) -> f64 {
        self.learning_rate_from((epoch + 1) as f64 / self.epochs as f64 - ROUNDING)
    }

    fn learning_rate_from(&self, progress: f64) -> f64 {
        let since = if progress >= self.restart_at { progress - self.restart_at } else { progress };
        self.learning_rate * self.decay.powi((since / self.decay_every) as i32)
    }
}

fn ensure(
    setting: &'static str,
    expected: &'static str,
    holds: bool,
    found: impl FnOnce() -> String,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Setting { setting, expected, found: found() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_papers_over_40_epochs_and_scales_to_10() {
        let config = TrainConfig::default();
        for (epochs, every) in [(40, 4), (10, 1)] {
            for epoch in 0..epochs {
                let expected = 0.1 * 0.3f64.powi((epoch % (epochs / 2) / every) as i32);
                for step in [0, 46] {
                    let found = config.learning_rate_at(epoch * 47 + step, epochs * 47);
                    assert!(
                        (found - expected).abs() < 1e-12,
                        "epoch {epoch} of {epochs}: {found} instead of {expected}"
                    );
                }
            }
        }
        let never = TrainConfig { restart_at: 1.0, ..config };
        assert!((never.learning_rate_at(20, 40) - 0.1 * 0.3f64.powi(5)).abs() < 1e-12);
    }

    #[test]
    fn an_epoch_ends_with_the_learning_rate_of_its_last_step() {
        for epochs in [1, 3, 10, 16, 40] {
            let config = TrainConfig { epochs, ..TrainConfig::default() };
            for epoch in 0..epochs {
                let last = config.learning_rate_at((epoch + 1) * 47 - 1, epochs * 47);
                assert!(
                    (config.learning_rate_after(epoch) - last).abs() < 1e-12,
                    "epoch {epoch} of {epochs}"
                );
            }
        }
    }

    /// This makes a shorter training a valid control for a longer one; a network from the middle of
    /// a schedule is not.
    #[test]
    fn a_complete_training_stops_at_a_learning_rate_that_is_not_above_that_of_any_epoch_of_a_longer_one()
     {
        let of = |epochs| TrainConfig { epochs, ..TrainConfig::default() };
        for shorter in 1..=40 {
            let stop = of(shorter).learning_rate_after(shorter - 1);
            for longer in shorter..=40 {
                let lowest = (0..longer)
                    .map(|epoch| of(longer).learning_rate_after(epoch))
                    .fold(f64::INFINITY, f64::min);
                assert!(
                    stop <= lowest * (1.0 + 1e-12),
                    "{shorter} epochs stop at {stop}, {longer} reach {lowest}"
                );
            }
        }
        // After a restart of the learning rate, such a network is not a valid control.
        assert!(of(16).learning_rate_after(8) > of(16).learning_rate_after(15));
    }

    #[test]
    fn alpha_is_constant_or_rises() {
        let constant = TrainConfig::default();
        assert!((0..10).all(|step| constant.alpha_at(step, 10) == 20.0));
        let rising = TrainConfig { alpha_warm_up: Some(0.5), ..constant };
        let found: Vec<f64> = (0..6).map(|step| rising.alpha_at(step, 8)).collect();
        assert_eq!(found, [0.0, 5.0, 10.0, 15.0, 20.0, 20.0]);
    }

    #[test]
    fn gamma_starts_at_what_is_asked_for() {
        let config = TrainConfig {
            layers: Some(vec![1, 3]),
            mixture: Mixture::Fixed(vec![3.0, 1.0]),
            ..TrainConfig::default()
        };
        let shares: Vec<f64> =
            config.gamma_logits().iter().map(|logit| f64::from(*logit).exp()).collect();
        assert!(
            (shares[1] / shares[3] - 3.0).abs() < 1e-6
                && [0, 2, 4].iter().all(|layer| shares[*layer] == 0.0),
            "{shares:?}"
        );
        assert_eq!(TrainConfig::default().gamma_logits(), [0.0; 5]);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let check = |config: TrainConfig| config.check().unwrap_err().to_string();
        let default = TrainConfig::default;
        assert!(
            check(TrainConfig { epochs: 0, ..default() })
                .starts_with("epochs: expected at least 1, found 0")
        );
        assert!(
            check(TrainConfig { learning_rate: f64::NAN, ..default() }).contains("learning_rate")
        );
        assert!(check(TrainConfig { momentum: 1.0, ..default() }).contains("momentum"));
        assert!(check(TrainConfig { decay_every: 0.0, ..default() }).contains("decay_every"));
        assert!(check(TrainConfig { alpha: -1.0, ..default() }).contains("alpha"));
        assert!(check(TrainConfig { blocks: vec![2, 0], ..default() }).starts_with("blocks"));
        assert!(
            check(TrainConfig { layers: Some(vec![1, 5]), ..default() })
                .starts_with("layers: expected distinct numbers")
        );
        assert!(check(TrainConfig { layers: Some(vec![1, 1]), ..default() }).contains("[1, 1]"));
        assert!(
            check(TrainConfig { layers: Some(vec![]), ..default() })
                .contains("at least one, found []")
        );
        assert!(
            check(TrainConfig { mixture: Mixture::Fixed(vec![1.0]), ..default() })
                .starts_with("mixture")
        );
        assert!(check(TrainConfig { target_limit: 1.0, ..default() }).contains("target_limit"));
        assert!(
            check(TrainConfig { alpha_warm_up: Some(0.0), ..default() }).contains("alpha_warm_up")
        );
        let noise = RobustTraining::Noise { std: 0.0 };
        assert!(
            check(TrainConfig { robust_training: noise, ..default() })
                .starts_with("robust_training.noise.std")
        );
        let attack = RobustTraining::Adversarial { epsilon: 0.01, steps: 0 };
        assert!(
            check(TrainConfig { robust_training: attack, ..default() })
                .starts_with("robust_training.adversarial.steps")
        );
        default().check().unwrap();
    }

    #[test]
    fn every_setting_is_kept_as_text() {
        let changed = TrainConfig {
            alpha_warm_up: Some(0.5),
            layers: Some(vec![0, 2]),
            mixture: Mixture::Fixed(vec![0.5, 1.5]),
            centering: Centering::Batch,
            running_statistics: RunningStatistics::Shared,
            robust_training: RobustTraining::Noise { std: 0.2 },
            precision: Precision::Mixed,
            ..TrainConfig::default()
        };
        for config in [TrainConfig::default(), changed] {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn unknown_names_in_text_are_refused() {
        let error = |text: &str| toml::from_str::<TrainConfig>(text).unwrap_err().to_string();
        assert!(error("alfa = 3.0").contains("unknown field `alfa`"));
        assert!(error("robust_training = { noise = { std = 0.1, steps = 3 } }").contains("steps"));
        assert!(error("mixture = \"fixd\"").contains("fixd"));
    }
}
