//! `results.json`: every figure of a run, after `data-specs/results.toml`. Times are kept apart in `times.json`, so that
//! equal runs give equal bytes.

use super::{
    Comparison, ConditionSummary, Estimate, NetworkResult, Shares, SimilarityToOtherRepeats, SimilarityToTruth, TargetResult,
    TargetWeighting, Verdict, WeightingResult,
};
use serde::{Deserialize, Serialize};

/// All figures of a run.
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
    /// How targets weight neurons; earlier files do not say it.
    pub(crate) weights: Option<TargetWeighting>,
    pub(crate) targets: Vec<TargetResult>,
    pub(crate) networks: Vec<NetworkResult>,
    pub(crate) conditions: Vec<ConditionSummary>,
    /// Of every condition but the baseline with the baseline; none where there is no baseline.
    pub(crate) comparisons: Vec<Comparison>,
}

/// A scan, its reliability, and how well the model predicts it.
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
    /// Shares of the convolutional model and of the linear readouts in the predictions, where both are mixed.
    pub(crate) shares: Option<Shares>,
    /// Whether the denoised target is nearer to the repeats than one trial is.
    pub(crate) verdict: Option<Verdict>,
    /// By what responses were divided before similarities were computed.
    pub(crate) standardized_over: String,
    /// Agreement over pairs of oracle images with the similarity of the known truth, where there is one.
    pub(crate) similarity_to_truth: Option<SimilarityToTruth>,
    /// Agreement over pairs of oracle images with the similarity of the repeats that the compared trial is not among (paper,
    /// section 3), weighted as targets are.
    pub(crate) similarity_to_other_repeats: SimilarityToOtherRepeats,
    /// The same, reliability and agreement with the known truth in each weighting.
    pub(crate) similarity_weightings: Vec<WeightingResult>,
}
