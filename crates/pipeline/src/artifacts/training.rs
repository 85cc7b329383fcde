//! What stage `train` writes beside the networks.

use serde::{Deserialize, Serialize};

/// How strongly a target pulls at a network's similarities.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Pull {
    /// Which of the two was set; the other follows from the target.
    pub(crate) set: SetBy,
    /// Weight of the similarity loss.
    pub(crate) alpha: f64,
    /// That times the mean over all pairs of arctanh(target)^2, and times the scale of the loss.
    pub(crate) force: f64,
}

/// By what a target's strength is given.
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
