//! What stage `similarity` writes beside the matrices.

use serde::{Deserialize, Serialize};

/// What the stage found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SimilaritySummary {
    pub(crate) targets: Vec<TargetResult>,
    pub(crate) scans: Vec<ScanSimilarity>,
}

/// One scan's similarities of its oracle images, compared.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanSimilarity {
    pub(crate) to_repeat_average: SimilarityToRepeatAverage,
    pub(crate) to_truth: Option<SimilarityToTruth>,
    pub(crate) conventions: Vec<ConventionResult>,
}

/// A target of the regularizer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetResult {
    pub(crate) name: String,
    pub(crate) images: usize,
    pub(crate) pairs: usize,
    pub(crate) mean: f64,
    pub(crate) standard_deviation: f64,
    /// Correlation with the denoised target over all pairs.
    pub(crate) correlation_with_denoised: f64,
    /// The same method on the oracle images, which it never saw, against the similarity of their repeat average.
    pub(crate) correlation_with_oracle: f64,
}

/// Correlations with the similarity of the known truth over pairs of oracle images, weighted alike on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConventionResult {
    pub(crate) weights: String,
    pub(crate) single_trials: OverImages,
    pub(crate) repeat_average: OverImages,
    pub(crate) denoised: OverImages,
    /// What the truth could reach with single trials, between bounds estimated without it.
    pub(crate) ceiling_lower: f64,
    pub(crate) ceiling_upper: f64,
}

/// A correlation with its bootstrap interval of 95% over images.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct OverImages {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Pearson correlations over the pairs of oracle images; responses and truth divided by each neuron's standard deviation
/// over the training tier.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityToTruth {
    pub(crate) single_trials: f64,
    pub(crate) repeat_average: f64,
    pub(crate) denoised_equal_weights: f64,
    pub(crate) denoised_weighted: f64,
}

/// Pearson correlations with the similarity of the repeat average over the pairs of oracle images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityToRepeatAverage {
    pub(crate) single_trials: f64,
    pub(crate) denoised: f64,
}
