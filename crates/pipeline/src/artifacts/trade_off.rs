//! What stage `trade-off` writes for each network, and what is gathered of it.

use super::Point;
use serde::{Deserialize, Serialize};

/// One network after one epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) epoch: usize,
    pub(crate) clean_accuracy: f64,
    pub(crate) gaussian_noise: Vec<Point>,
}

/// One arm of the grid, followed over epochs.
pub(crate) struct Followed {
    pub(crate) name: String,
    /// What is done, as all arms say that differ in settings alone.
    pub(crate) kind: String,
    /// Keys of the settings that it has of its own.
    pub(crate) own: Vec<String>,
    /// Whether its similarities are pulled towards a target, `alpha` being how strongly.
    pub(crate) has_target: bool,
    pub(crate) alpha: f64,
    /// Over seeds: every epoch, and the position among them of the network that the training kept.
    pub(crate) seeds: Vec<(Vec<Snapshot>, usize)>,
}
