//! `results.json` with all results of a run, specified in `data-specs/results.toml`. Times are in
//! `times.json` instead, so that equal runs give equal bytes.

use super::{
    Comparison, ConditionSummary, Estimate, NetworkResult, Shares, SimilarityToOtherRepeats,
    SimilarityToTruth, TargetResult, TargetWeighting, Verdict, WeightingResult,
};
use serde::{Deserialize, Serialize};

/// All results of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) crate_version: String,
    pub(crate) config_hash: String,
    pub(crate) seed: u64,
    pub(crate) device: String,
    pub(crate) scans: Vec<ScanResult>,
    /// Weighting of neurons in targets; absent in files of earlier versions.
    pub(crate) weights: Option<TargetWeighting>,
    pub(crate) targets: Vec<TargetResult>,
    pub(crate) networks: Vec<NetworkResult>,
    pub(crate) conditions: Vec<ConditionSummary>,
    /// Every other condition compared with the baseline; empty without a baseline.
    pub(crate) comparisons: Vec<Comparison>,
}

/// A scan, its reliability, and the model's predictive performance on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScanResult {
    pub(crate) name: String,
    pub(crate) neurons: usize,
    pub(crate) trials: usize,
    pub(crate) images: usize,
    pub(crate) oracle_images: usize,
    pub(crate) excluded_neurons: usize,
    pub(crate) oracle: Option<f64>,
    pub(crate) test_correlation: Option<Estimate>,
    pub(crate) correlation_to_average: Option<Estimate>,
    pub(crate) fraction_oracle: Option<Estimate>,
    pub(crate) feve: Option<Estimate>,
    /// Weights of the convolutional model and of the linear readouts in the predictions, if both
    /// are mixed.
    pub(crate) shares: Option<Shares>,
    /// Whether the denoised target is closer to the repeats than a single trial is.
    pub(crate) verdict: Option<Verdict>,
    /// The quantity by which responses were divided before computing similarities.
    pub(crate) standardized_over: String,
    /// Agreement with the similarity of the ground truth over pairs of oracle images, if known.
    pub(crate) similarity_to_truth: Option<SimilarityToTruth>,
    /// Agreement over pairs of oracle images with the similarity of the other repeats, excluding
    /// the compared trial (paper, section 3), weighted as in targets.
    pub(crate) similarity_to_other_repeats: SimilarityToOtherRepeats,
    /// The same, with reliability and agreement with the ground truth, for each weighting.
    pub(crate) similarity_weightings: Vec<WeightingResult>,
}
