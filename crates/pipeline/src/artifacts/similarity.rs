//! What stage `similarity` writes, besides the matrices.

use brainprior_similarity::Agreement;
use serde::{Deserialize, Serialize};

/// Results of the stage.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SimilaritySummary {
    pub(crate) weights: TargetWeighting,
    pub(crate) targets: Vec<TargetResult>,
    pub(crate) scans: Vec<ScanSimilarity>,
}

/// Weighting of neurons in targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetWeighting {
    /// `equal`, or `w v`.
    pub(crate) weights: String,
    /// Whether held-out images chose the weighting, rather than the configuration.
    pub(crate) chosen: bool,
    /// Correlation between the similarities of predictions and noise-free ones on held-out images,
    /// averaged over scans, for each weighting.
    pub(crate) equal: Option<f64>,
    pub(crate) signal_to_noise: Option<f64>,
}

impl TargetWeighting {
    /// A sentence about the weighting.
    pub(crate) fn sentence(&self) -> String {
        let figure = |of: Option<f64>| of.map_or("–".into(), |of| format!("{of:.2}"));
        let by = if self.chosen {
            "as chosen on held-out images"
        } else {
            "as set by similarity.weights"
        };
        format!(
            "targets weight neurons {}, {by}: similarities of predictions correlate with noise-free ones at {} with equal weights and {} with w v",
            if self.weights == "equal" { "equally" } else { "by w v" },
            figure(self.equal),
            figure(self.signal_to_noise)
        )
    }
}

/// Similarities of one scan's oracle images, compared. A value is absent if undefined, as with two
/// oracle images.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanSimilarity {
    /// The quantity by which responses were divided.
    pub(crate) standardized_over: String,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) to_other_repeats: SimilarityToOtherRepeats,
    pub(crate) to_truth: Option<SimilarityToTruth>,
    pub(crate) weightings: Vec<WeightingResult>,
}

/// Whether denoising helps: denoised responses and single trials, each compared with the mean over
/// the other trials with equal weighting on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Whether the denoised target is closer.
    pub(crate) denoised_is_nearer: bool,
    /// The verdict in words, with advice if denoising does not help.
    pub(crate) text: String,
}

/// A target of the similarity loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetResult {
    pub(crate) name: String,
    pub(crate) images: usize,
    pub(crate) pairs: usize,
    pub(crate) mean: f64,
    pub(crate) standard_deviation: f64,
    /// Agreement with the denoised target over all pairs.
    pub(crate) with_denoised: Option<SimilarityAgreement>,
    /// The target's method on the held-out oracle images, compared with the similarity of the mean
    /// over all repeats but the first, of which `raw` is made. Absent for the target `oracle`,
    /// which is made of these repeats.
    pub(crate) with_oracle: Option<SimilarityAgreement>,
}

/// Agreement of similarities with a reference over pairs of images, in order and size.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityAgreement {
    /// Pearson correlation.
    pub(crate) correlation: f64,
    /// Its 95% interval over images, if available.
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    /// Slope of the least-squares line of the similarities on the reference.
    pub(crate) slope: f64,
    /// Standard deviation of the similarities divided by that of the reference.
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

/// Agreements over pairs of oracle images, with the same neuron weights on both sides.
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

/// Reliability of the repeats, and the square roots, which are noise ceilings.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ReliabilityResult {
    pub(crate) single_trials: f64,
    /// Split-half reliability, corrected for the halved number of trials.
    pub(crate) average: f64,
    pub(crate) ceiling_of_single_trials: f64,
    pub(crate) ceiling_of_average: f64,
}

/// Over pairs of oracle images; responses and truth with equal weights, except in the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityToTruth {
    pub(crate) single_trials: Option<SimilarityAgreement>,
    pub(crate) repeat_average: Option<SimilarityAgreement>,
    pub(crate) denoised_equal_weights: Option<SimilarityAgreement>,
    /// Denoised responses weighted as in targets.
    pub(crate) denoised_weighted: Option<SimilarityAgreement>,
}

/// Each repeat compared with the mean over the other repeats; averaged over repeats.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SimilarityToOtherRepeats {
    pub(crate) single_trials: Option<SimilarityAgreement>,
    pub(crate) denoised: Option<SimilarityAgreement>,
    pub(crate) combined: Option<SimilarityAgreement>,
}
