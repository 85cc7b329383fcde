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
    /// The same on the validation images, by which choices are made.
    pub(crate) validation: Validation,
    /// Error rate under each corruption, severity 1 to 5.
    pub(crate) corruptions: BTreeMap<String, [f64; 5]>,
    /// Whether the corrupted images are published ones rather than made here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) published_corruptions: bool,
    /// Mean over corruptions of the mean over severities.
    pub(crate) mean_corruption_error: Option<f64>,
    pub(crate) attacks: BTreeMap<String, Vec<Point>>,
    pub(crate) minimal_perturbation: BTreeMap<String, MinimalPerturbation>,
    pub(crate) masking: Option<Masking>,
    /// Final weights of the stem and the stages.
    pub(crate) gamma: Vec<f64>,
    /// Correlation of the network's similarities with the target's over the last epoch.
    pub(crate) pair_correlation: Option<f64>,
    /// Absent without a target.
    pub(crate) pull: Option<Pull>,
    pub(crate) kept: Kept,
}

/// The point in training from which the network was taken.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Epoch, from 1.
    pub(crate) epoch: usize,
    /// Learning rate at the end of that epoch.
    pub(crate) learning_rate: f64,
}

/// A network on the validation images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Validation {
    pub(crate) images: usize,
    pub(crate) clean_accuracy: f64,
    pub(crate) gaussian_noise: Vec<Point>,
}

/// Accuracy at one noise level or perturbation size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) level: f64,
    pub(crate) accuracy: f64,
}

/// Median smallest perturbation over images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MinimalPerturbation {
    /// Absent if more than half of the images withstand the largest perturbation tried.
    pub(crate) median: Option<f64>,
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    pub(crate) images: usize,
    pub(crate) censored: usize,
}

/// Whether attacks on a network can be trusted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Masking {
    /// Linf size at which attacks were compared.
    pub(crate) epsilon: f64,
    /// Number of correctly classified images used for the checks.
    pub(crate) images: usize,
    pub(crate) sign: MaskingSign,
    /// The verdict in words.
    pub(crate) verdict: String,
    pub(crate) checks: Vec<Check>,
}

/// Result of the gradient masking checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MaskingSign {
    /// No check found anything, on enough images.
    None,
    /// No check found anything, on too few images.
    TooFewImages,
    /// At least one check found something.
    Found,
}

/// One check for gradient masking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    /// Measured values by description.
    pub(crate) figures: BTreeMap<String, f64>,
    /// The problem in words, if any.
    pub(crate) finding: Option<String>,
}

/// File of the [`NetworkResult`].
pub(crate) const CURVES: &str = "curves.json";

/// Mean over corruptions of the mean over severities; `None` if there are none.
pub(crate) fn mean_over_families<'a>(errors: impl Iterator<Item = &'a [f64; 5]>) -> Option<f64> {
    let means: Vec<f64> = errors.map(|errors| errors.iter().sum::<f64>() / 5.0).collect();
    (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
}

/// The smallest perturbation of each attacked image, by norm: 0 if the network misclassifies it,
/// `None` if nothing was found.
pub(crate) type Distances = BTreeMap<String, Vec<Option<f64>>>;

/// File of the distances.
pub(crate) const DISTANCES: &str = "distances.json";

/// Some test images and their nearest adversarial images.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pictures {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Values in [0, 1], row-major.
    pub(crate) originals: Vec<Vec<f32>>,
    /// `None` if the network misclassifies the original or withstood.
    pub(crate) adversarial: Vec<Option<Vec<f32>>>,
}
