//! `attack.json`, which the command `attack` writes.

use super::{Masking, MinimalPerturbation, Point};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one call found out about one checkpoint.
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
    /// Accuracy at rising sizes of the smallest perturbations.
    pub(crate) accuracy: BTreeMap<String, Vec<Point>>,
    /// How many images each attack came nearest to.
    pub(crate) found_by: BTreeMap<String, BTreeMap<String, usize>>,
    /// What each attack of the ensemble added, in their order.
    pub(crate) ensemble: BTreeMap<String, Vec<Added>>,
    pub(crate) masking: Option<Masking>,
}

/// How far the ensemble was after one of its attacks.
#[derive(Serialize)]
pub(crate) struct Added {
    pub(crate) attack: String,
    /// Passes so far for each image under attack: their mean and the most.
    pub(crate) mean_passes: f64,
    pub(crate) most_passes: usize,
    /// Images of which an adversarial one is known, of those that are classified rightly.
    pub(crate) found: usize,
    /// Of those of which none is known infinite: then nothing.
    pub(crate) median: Option<f64>,
    /// Against what is known at the end; nothing where nothing is.
    pub(crate) local_optimality: Option<f64>,
}
