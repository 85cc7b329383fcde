//! What stage `trade-off` writes for each network, and its summary.

use super::Point;
use serde::{Deserialize, Serialize};

/// One network after one epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) epoch: usize,
    pub(crate) clean_accuracy: f64,
    pub(crate) gaussian_noise: Vec<Point>,
}

/// One condition followed over epochs.
pub(crate) struct Followed {
    pub(crate) name: String,
    /// The kind of condition, shared by those that differ only in settings.
    pub(crate) kind: String,
    /// Keys of its own settings.
    pub(crate) own: Vec<String>,
    /// Whether it has a target, with strength `alpha`.
    pub(crate) has_target: bool,
    pub(crate) alpha: f64,
    /// For each seed, all epochs and the index of the network that the training kept.
    pub(crate) seeds: Vec<(Vec<Snapshot>, usize)>,
}
