//! Settings of a network and of its training.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Shape of a residual network: a 7x7 stem of stride 1 without max-pool, then stages of basic blocks, each stage with
/// twice the channels and (but for the first) half the resolution of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// Blocks of each stage: `[2, 2, 2, 2]` is ResNet18, `[3, 4, 6, 3]` ResNet34.
    pub blocks: Vec<usize>,
    /// Channels of the stem and of the first stage; 64 in the paper.
    pub base_channels: usize,
    /// 1 (grayscale) or 3 (RGB).
    pub input_channels: usize,
    /// Classes to tell apart.
    pub classes: usize,
}

impl Default for NetConfig {
    /// ResNet18 on grayscale images of ten classes, as in the paper.
    fn default() -> Self {
        Self { blocks: vec![2; 4], base_channels: 64, input_channels: 1, classes: 10 }
    }
}

impl NetConfig {
    /// Number of layers whose similarities are mixed: the stem and each stage.
    pub fn taps(&self) -> usize {
        self.blocks.len() + 1
    }

    pub(crate) fn check(&self) -> Result<()> {
        let stages = (1..=8).contains(&self.blocks.len()) && self.blocks.iter().all(|blocks| *blocks > 0);
        ensure("net.blocks", "1 to 8 stages of at least one block", stages, || format!("{:?}", self.blocks))?;
        ensure("net.base_channels", "at least 1", self.base_channels > 0, || self.base_channels.to_string())?;
        ensure("net.input_channels", "1 or 3", matches!(self.input_channels, 1 | 3), || self.input_channels.to_string())?;
        ensure("net.classes", "2 to 256", (2..=256).contains(&self.classes), || self.classes.to_string())
    }
}

/// Whose statistics the batch norms keep for evaluation. In training each batch, of labelled images or of pairs, is
/// always normalised by its own statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunningStatistics {
    /// Those of the labelled images alone, so that a classifier is evaluated under the statistics that it was trained
    /// under, whatever the stimuli of its target look like.
    #[default]
    Separate,
    /// Those of both batches in turn, as in the lineage (pixel-reg), where stimuli pass the same batch norms.
    Shared,
}

/// Settings of a training. The schedule is given in parts of the training, so that it scales with `epochs`; the
/// defaults are the paper's (section 3.3) and, where it is silent, its lineage's (pixel-reg).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The network.
    pub net: NetConfig,
    /// Passes over the training images.
    pub epochs: usize,
    /// Labelled images a step.
    pub batch: usize,
    /// Learning rate at the start and after the restart.
    pub learning_rate: f64,
    /// What the learning rate is multiplied by at each decay.
    pub decay: f64,
    /// Part of the training between decays: 0.1 is every 4 of 40 epochs.
    pub decay_every: f64,
    /// Part of the training after which the learning rate starts again: 0.5 is epoch 20 of 40; 1 for never.
    pub restart_at: f64,
    /// Momentum of the gradient descent, in PyTorch's form.
    pub momentum: f64,
    /// Decay of the weights of convolutions and of the head; scales, shifts, biases and gamma do not decay. Neither paper
    /// nor lineage says; 5e-4 is usual for these networks.
    pub weight_decay: f64,
    /// Pairs of stimuli a step; 64 in the paper, 16 in its lineage.
    pub pairs: usize,
    /// Weight of the similarity loss.
    pub alpha: f64,
    /// Factor of the similarity loss: 1 is the paper's formula; 4 is the lineage's code, whose loss is four times that.
    pub loss_scale: f64,
    /// Whose statistics are kept for evaluation.
    pub running_statistics: RunningStatistics,
    /// Part of the labelled images that is held back to choose the best epoch by; at least one image.
    pub validation_fraction: f64,
    /// Random crops (reflect padding 4) and horizontal flips of the labelled images.
    pub augmentation: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            net: NetConfig::default(),
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
            loss_scale: 1.0,
            running_statistics: RunningStatistics::Separate,
            validation_fraction: 0.01,
            augmentation: true,
        }
    }
}

impl TrainConfig {
    pub(crate) fn check(&self) -> Result<()> {
        self.net.check()?;
        for (setting, value) in [("epochs", self.epochs), ("batch", self.batch), ("pairs", self.pairs)] {
            ensure(setting, "at least 1", value > 0, || value.to_string())?;
        }
        // Random streams of an image are numbered by epoch in 24 bits.
        ensure("epochs", "at most 1000000", self.epochs <= 1_000_000, || self.epochs.to_string())?;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        for (setting, value) in [("learning_rate", self.learning_rate), ("loss_scale", self.loss_scale)] {
            ensure(setting, "a positive number", positive(value), || value.to_string())?;
        }
        for (setting, value) in [("alpha", self.alpha), ("weight_decay", self.weight_decay)] {
            ensure(setting, "a number not below 0", value == 0.0 || positive(value), || value.to_string())?;
        }
        for (setting, value) in [("decay", self.decay), ("decay_every", self.decay_every), ("restart_at", self.restart_at)] {
            ensure(setting, "above 0, at most 1", value > 0.0 && value <= 1.0, || value.to_string())?;
        }
        for (setting, value) in [("momentum", self.momentum), ("validation_fraction", self.validation_fraction)] {
            ensure(setting, "at least 0, below 1", (0.0..1.0).contains(&value), || value.to_string())?;
        }
        Ok(())
    }

    /// The learning rate of `step` of `steps`.
    pub(crate) fn learning_rate_at(&self, step: usize, steps: usize) -> f64 {
        // A boundary that falls on a step belongs to it, although fractions are rounded.
        let tolerance = 1e-9;
        let progress = step as f64 / steps as f64 + tolerance;
        let since = if progress >= self.restart_at { progress - self.restart_at } else { progress };
        self.learning_rate * self.decay.powi((since / self.decay_every) as i32)
    }
}

fn ensure(setting: &'static str, expected: &'static str, holds: bool, found: impl FnOnce() -> String) -> Result<()> {
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
                    assert!((found - expected).abs() < 1e-12, "epoch {epoch} of {epochs}: {found} instead of {expected}");
                }
            }
        }
        let never = TrainConfig { restart_at: 1.0, ..config };
        assert!((never.learning_rate_at(20, 40) - 0.1 * 0.3f64.powi(5)).abs() < 1e-12);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let check = |config: TrainConfig| config.check().unwrap_err().to_string();
        let default = TrainConfig::default;
        assert!(check(TrainConfig { epochs: 0, ..default() }).starts_with("epochs: expected at least 1, found 0"));
        assert!(check(TrainConfig { learning_rate: f64::NAN, ..default() }).contains("learning_rate"));
        assert!(check(TrainConfig { momentum: 1.0, ..default() }).contains("momentum"));
        assert!(check(TrainConfig { decay_every: 0.0, ..default() }).contains("decay_every"));
        assert!(check(TrainConfig { alpha: -1.0, ..default() }).contains("alpha"));
        let net = NetConfig { blocks: vec![2, 0], ..NetConfig::default() };
        assert!(check(TrainConfig { net, ..default() }).contains("net.blocks"));
        default().check().unwrap();
    }
}
