//! What stage `train` writes, besides the networks.

use serde::{Deserialize, Serialize};

/// Strength of a network's target.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Pull {
    /// Which of the two was set; the other follows from the target.
    pub(crate) set: SetBy,
    /// Weight of the similarity loss.
    pub(crate) alpha: f64,
    /// Alpha times the mean of arctanh(target)^2 over all pairs, times the scale of the loss.
    pub(crate) force: f64,
}

/// How a target's strength is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SetBy {
    Alpha,
    Force,
}

/// One epoch of a classifier.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrainingEpoch {
    pub(crate) epoch: usize,
    pub(crate) loss: f64,
    pub(crate) cross_entropy: f64,
    pub(crate) similarity_loss: Option<f64>,
    pub(crate) train_accuracy: f64,
    pub(crate) validation_loss: f64,
    pub(crate) validation_accuracy: f64,
    pub(crate) pair_correlation: Option<f64>,
    pub(crate) gamma: Vec<f64>,
}
