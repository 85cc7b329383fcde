//! `attack.json`, written by the command `attack`.

use super::{Masking, MinimalPerturbation, Point};
use serde::Serialize;
use std::collections::BTreeMap;

/// Results for one checkpoint.
#[derive(Serialize)]
pub(crate) struct AttackReport {
    pub(crate) format: &'static str,
    pub(crate) version: u32,
    pub(crate) checkpoint: String,
    pub(crate) images: String,
    pub(crate) crate_version: &'static str,
    pub(crate) seed: u64,
    pub(crate) attacked: usize,
    pub(crate) clean_accuracy: f64,
    pub(crate) minimal_perturbation: BTreeMap<String, MinimalPerturbation>,
    /// Accuracy at increasing perturbation sizes.
    pub(crate) accuracy: BTreeMap<String, Vec<Point>>,
    /// Number of images for which each attack found the smallest perturbation.
    pub(crate) found_by: BTreeMap<String, BTreeMap<String, usize>>,
    /// The contribution of each attack of the ensemble, in order.
    pub(crate) ensemble: BTreeMap<String, Vec<Added>>,
    pub(crate) masking: Option<Masking>,
}

/// Progress of the ensemble after one of its attacks.
#[derive(Serialize)]
pub(crate) struct Added {
    pub(crate) attack: String,
    /// Passes so far per attacked image: mean and maximum.
    pub(crate) mean_passes: f64,
    pub(crate) most_passes: usize,
    /// Number of correctly classified images with a known adversarial example.
    pub(crate) found: usize,
    /// Median smallest perturbation, infinite for images without one; `None` if infinite.
    pub(crate) median: Option<f64>,
    /// Relative to the final results; `None` if nothing was found.
    pub(crate) local_optimality: Option<f64>,
}
