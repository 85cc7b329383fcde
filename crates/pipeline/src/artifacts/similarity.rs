//! What stage `similarity` writes beside the matrices.

use brainprior_similarity::Agreement;
use serde::{Deserialize, Serialize};

/// What the stage found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SimilaritySummary {
    pub(crate) weights: TargetWeighting,
    pub(crate) targets: Vec<TargetResult>,
    pub(crate) scans: Vec<ScanSimilarity>,
}

/// How neurons are weighted in targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetWeighting {
    /// `equal`, or `w v`.
    pub(crate) weights: String,
    /// Whether held-out images chose, or the configuration.
    pub(crate) chosen: bool,
    /// Correlation of the similarities of predictions with noise-free ones on held-out images, mean over scans, in either weighting.
    pub(crate) equal: Option<f64>,
    pub(crate) signal_to_noise: Option<f64>,
}

impl TargetWeighting {
    /// In words.
    pub(crate) fn sentence(&self) -> String {
        let figure = |of: Option<f64>| of.map_or("–".into(), |of| format!("{of:.2}"));
        let by = if self.chosen { "as held-out images chose" } else { "as similarity.weights says" };
        format!(
            "targets weight neurons {}, {by}: similarities of predictions correlate with noise-free ones at {} with equal weights, at {} with w v",
            if self.weights == "equal" { "equally" } else { "by w v" },
            figure(self.equal),
            figure(self.signal_to_noise)
        )
    }
}

/// One scan's similarities of its oracle images, compared. A figure is absent where there is none, as with two oracle images.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanSimilarity {
    /// By what responses were divided.
    pub(crate) standardized_over: String,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) to_other_repeats: SimilarityToOtherRepeats,
    pub(crate) to_truth: Option<SimilarityToTruth>,
    pub(crate) weightings: Vec<WeightingResult>,
}

/// Whether denoising is worth it: denoised responses and one trial of each image against the mean over the other trials, with the same
/// weights on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Whether the denoised target is nearer.
    pub(crate) denoised_is_nearer: bool,
    /// In words, with what to do where it is not.
    pub(crate) text: String,
}

/// A target of the regularizer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetResult {
    pub(crate) name: String,
    pub(crate) images: usize,
    pub(crate) pairs: usize,
    pub(crate) mean: f64,
    pub(crate) standard_deviation: f64,
    /// Agreement with the denoised target over all pairs.
    pub(crate) with_denoised: Option<SimilarityAgreement>,
    /// The same method on the oracle images, which it never saw, against the similarity of the mean over their repeats but the
    /// first, which is the one that `raw` is made of. The target `oracle` is made of these repeats and has no such figure.
    pub(crate) with_oracle: Option<SimilarityAgreement>,
}

/// How far similarities agree with a reference over pairs of images, in order and in size.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityAgreement {
    /// Pearson's correlation.
    pub(crate) correlation: f64,
    /// Its interval of 95% over images, where there is one.
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    /// Of the least-squares line of the similarities on the reference.
    pub(crate) slope: f64,
    /// Standard deviation of the similarities over that of the reference.
    pub(crate) spread_ratio: f64,
}

impl From<Agreement> for SimilarityAgreement {
    fn from(found: Agreement) -> Self {
        Self {
            correlation: found.correlation,
            low: found.interval.map(|interval| interval.low),
            high: found.interval.map(|interval| interval.high),
            slope: found.slope,
            spread_ratio: found.spread_ratio,
        }
    }
}

/// Agreements over pairs of oracle images, every neuron weighted alike on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WeightingResult {
    pub(crate) weights: String,
    pub(crate) to_other_repeats: SimilarityToOtherRepeats,
    pub(crate) reliability: Option<ReliabilityResult>,
    pub(crate) single_trials_to_truth: Option<SimilarityAgreement>,
    pub(crate) repeat_average_to_truth: Option<SimilarityAgreement>,
    pub(crate) denoised_to_truth: Option<SimilarityAgreement>,
    /// Denoised responses combined with one trial of each image, and with all.
    pub(crate) combined_with_one_to_truth: Option<SimilarityAgreement>,
    pub(crate) combined_with_all_to_truth: Option<SimilarityAgreement>,
}

/// How far the repeats agree, and the roots: what the truth could reach.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ReliabilityResult {
    pub(crate) single_trials: f64,
    /// Of split halves, corrected for the half number of trials.
    pub(crate) average: f64,
    pub(crate) ceiling_of_single_trials: f64,
    pub(crate) ceiling_of_average: f64,
}

/// Over the pairs of oracle images; responses and truth at equal weights but in the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityToTruth {
    pub(crate) single_trials: Option<SimilarityAgreement>,
    pub(crate) repeat_average: Option<SimilarityAgreement>,
    pub(crate) denoised_equal_weights: Option<SimilarityAgreement>,
    /// Denoised responses as targets are made.
    pub(crate) denoised_weighted: Option<SimilarityAgreement>,
}

/// For each repeat, against the similarity of the mean over the other repeats; means over the repeats.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityToOtherRepeats {
    pub(crate) single_trials: Option<SimilarityAgreement>,
    pub(crate) denoised: Option<SimilarityAgreement>,
    pub(crate) combined: Option<SimilarityAgreement>,
}
