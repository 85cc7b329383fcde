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
    pub(crate) masking: Option<Masking>,
}
