//! What stage `robustness` writes for each network.

use super::Pull;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One trained network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkResult {
    pub(crate) condition: String,
    pub(crate) seed: u64,
    pub(crate) clean_accuracy: f64,
    pub(crate) gaussian_noise: Vec<Point>,
    /// The same on the training images that were held back: what choices are made by.
    pub(crate) validation: Validation,
    /// Error under each family of corruptions, severity 1 to 5.
    pub(crate) corruptions: BTreeMap<String, [f64; 5]>,
    /// Whether those are of published images, rather than of corruptions that were made here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) published_corruptions: bool,
    /// Mean over families of the mean over severities.
    pub(crate) mean_corruption_error: Option<f64>,
    pub(crate) attacks: BTreeMap<String, Vec<Point>>,
    pub(crate) minimal_perturbation: BTreeMap<String, MinimalPerturbation>,
    pub(crate) masking: Option<Masking>,
    /// Final mixture over the stem and the stages.
    pub(crate) gamma: Vec<f64>,
    /// Correlation of the network's similarities with the target's over the last epoch.
    pub(crate) pair_correlation: Option<f64>,
    /// Absent without a target.
    pub(crate) pull: Option<Pull>,
    pub(crate) kept: Kept,
}

/// Where in its training the network was taken.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// From 1.
    pub(crate) epoch: usize,
    /// At the end of that epoch.
    pub(crate) learning_rate: f64,
}

/// A network on the training images that were held back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Validation {
    pub(crate) images: usize,
    pub(crate) clean_accuracy: f64,
    pub(crate) gaussian_noise: Vec<Point>,
}

/// Accuracy at one level of noise or attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) level: f64,
    pub(crate) accuracy: f64,
}

/// The smallest perturbation that changes the decision, over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MinimalPerturbation {
    /// Absent where more than half of the images withstand the largest level tried.
    pub(crate) median: Option<f64>,
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    pub(crate) images: usize,
    pub(crate) censored: usize,
}

/// Whether attacks on a network can be believed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Masking {
    /// Linf size at which attacks were compared.
    pub(crate) epsilon: f64,
    /// Images that the network is right about, on which it was checked.
    pub(crate) images: usize,
    pub(crate) sign: MaskingSign,
    /// What to make of it, in words.
    pub(crate) verdict: String,
    pub(crate) checks: Vec<Check>,
}

/// Whether the checks found a sign of gradient masking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MaskingSign {
    /// None found, on images enough.
    None,
    /// None found, on too few images to tell.
    TooFewImages,
    /// At least one found.
    Found,
}

/// One check for gradient masking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    /// Each figure by what it is.
    pub(crate) figures: BTreeMap<String, f64>,
    /// What is wrong, in words.
    pub(crate) finding: Option<String>,
}

/// Where [`NetworkResult`] stands.
pub(crate) const CURVES: &str = "curves.json";

/// Plain mean over families of corruptions of the mean over severities; nothing of no family.
pub(crate) fn mean_over_families<'a>(errors: impl Iterator<Item = &'a [f64; 5]>) -> Option<f64> {
    let means: Vec<f64> = errors.map(|errors| errors.iter().sum::<f64>() / 5.0).collect();
    (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
}

/// The smallest perturbation of each attacked image, by norm: 0 where the network is wrong as it is, absent where nothing was found.
pub(crate) type Distances = BTreeMap<String, Vec<Option<f64>>>;

/// Their file beside the figures of a network.
pub(crate) const DISTANCES: &str = "distances.json";

/// Some test images and the nearest images that mislead a network about them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pictures {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Values in [0, 1], row by row.
    pub(crate) originals: Vec<Vec<f32>>,
    /// Nothing where the network is wrong about the original or withstood.
    pub(crate) adversarial: Vec<Option<Vec<f32>>>,
}
