//! What stage `train` writes beside the networks.

use serde::{Deserialize, Serialize};

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
