//! Evaluates targets on the oracle images, which were shown repeatedly: how well the similarities
//! of denoised responses and of single trials agree with those of other trials and, if known, with
//! the ground truth; and how well the trials agree with each other.

use crate::{
    Agreement, Error, ErrorVariances, HalfSamples, RepeatReliability, Result, ScanWeights,
    SimilarityMatrix,
};
use crate::{
    calibrated_similarity, mean_agreement, noise_free_spread, repeat_reliability, similarity,
    unexplained, where_defined,
};
use brainprior_recording::{Measurement, ResponseKind, Responses, Scan};
use ndarray::Array2;
use std::collections::BTreeMap;

/// Predicted responses with their error variances.
#[derive(Clone, Copy, Debug)]
pub struct Denoised<'a> {
    /// Predicted responses, at least to the oracle images.
    pub responses: &'a Responses,
    /// If given, similarities of predictions are calibrated to the spread of noise-free ones
    /// ([`unexplained`]), and predictions are combined with measurements.
    pub variances: Option<&'a ErrorVariances>,
}

impl<'a> From<&'a Responses> for Denoised<'a> {
    fn from(responses: &'a Responses) -> Self {
        Self { responses, variances: None }
    }
}

/// The similarities of one scan's oracle images from each source, and their agreements.
///
/// An agreement is `None` if it is undefined: with two oracle images, whose single pair does not
/// vary, or without a response model.
#[derive(Clone, Debug)]
pub struct OracleComparison {
    /// The matrix of the repeat averages. This and the following matrices are weighted like
    /// targets.
    pub repeat_average: SimilarityMatrix,
    /// The matrix of the denoised responses.
    pub denoised: Option<SimilarityMatrix>,
    /// The squared length that [`unexplained`] found for them; 0 without variances.
    pub unexplained: f64,
    /// The matrix of each single repeat, up to the smallest number of repeats of an image.
    pub single_trials: Vec<SimilarityMatrix>,
    /// For each of `single_trials`, the matrix of the means over each image's other trials.
    pub other_repeats: Vec<SimilarityMatrix>,
    /// For each of `single_trials`, the matrix of that trial combined with the denoised responses;
    /// empty without variances.
    pub combined: Vec<SimilarityMatrix>,
    /// The matrix of the expected responses, at equal weights.
    pub truth: Option<SimilarityMatrix>,
    /// Agreement with other repeats, with the weights of targets. Intervals here are 95% over
    /// images.
    pub to_other_repeats: ToOtherRepeats,
    /// Agreement with `truth`.
    pub to_truth: Option<ToTruth>,
    /// Comparisons with the same weights on both sides; weights with v only if there are denoised
    /// responses.
    pub weightings: Vec<WeightingComparison>,
}

/// Agreement with the similarity of repeats that exclude the compared trial: for each repeat t, the
/// reference is the mean over each image's other trials. Values are means over t. An average that
/// includes trial t would agree with it through its noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToOtherRepeats {
    /// Agreement of trial t.
    pub single_trials: Option<Agreement>,
    /// Agreement of denoised responses with the same references.
    pub denoised: Option<Agreement>,
    /// Agreement of trial t combined with denoised responses.
    pub combined: Option<Agreement>,
}

/// Agreement with the similarity of the true expected responses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToTruth {
    /// Agreement of single trials at equal weights, averaged over repeats.
    pub single_trials: Option<Agreement>,
    /// Agreement of the repeat averages at equal weights.
    pub repeat_average: Option<Agreement>,
    /// Agreement of denoised responses at equal weights.
    pub denoised_equal_weights: Option<Agreement>,
    /// Agreement of denoised responses weighted like targets; the truth has equal weights.
    pub denoised_weighted: Option<Agreement>,
}

/// The weight of each neuron on both sides of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// Weight 1, in the units of the file.
    FileUnits,
    /// 1 / standard deviation.
    Equal,
    /// w / standard deviation.
    SignalToNoise,
    /// w v / standard deviation.
    SignalToNoiseAndPrediction,
}

impl Weighting {
    /// All weightings.
    pub const ALL: [Self; 4] =
        [Self::FileUnits, Self::Equal, Self::SignalToNoise, Self::SignalToNoiseAndPrediction];

    /// `None` if the weights need a response model and there is none.
    fn of(self, weights: &ScanWeights) -> Option<Vec<f32>> {
        match self {
            Self::FileUnits => Some(vec![1.0; weights.equal.len()]),
            Self::Equal => Some(weights.equal.clone()),
            Self::SignalToNoise => Some(weights.measured.clone()),
            Self::SignalToNoiseAndPrediction => weights.predicted.clone(),
        }
    }
}

/// Agreements under one weighting.
#[derive(Clone, Copy, Debug)]
pub struct WeightingComparison {
    /// The weighting.
    pub weighting: Weighting,
    /// Agreement with repeats that exclude the compared trial.
    pub to_other_repeats: ToOtherRepeats,
    /// Reliability of the repeats; the square roots are the noise ceilings.
    pub reliability: Option<RepeatReliability>,
    /// Agreement with the truth, if it is known.
    pub to_truth: Option<ToTruthInOneWeighting>,
}

/// Agreement with the similarity of the true expected responses, with the same weights on both
/// sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToTruthInOneWeighting {
    /// Agreement of single trials, averaged over repeats.
    pub single_trials: Option<Agreement>,
    /// Agreement of the repeat averages.
    pub repeat_average: Option<Agreement>,
    /// Agreement of denoised responses.
    pub denoised: Option<Agreement>,
    /// Agreement of denoised responses combined with one trial per image, averaged over trials.
    pub combined_with_one: Option<Agreement>,
    /// Agreement of denoised responses combined with the mean over all trials of each image.
    pub combined_with_all: Option<Agreement>,
}

/// Compares the similarities of a scan's oracle images. `denoised` and `truth`, if given, must
/// contain these images.
///
/// # Errors
/// Returns an error if `denoised` or `truth` lacks an oracle image, if denoised responses have no
/// weights, if there are fewer than two oracle images, or if [`similarity`] fails.
pub fn compare_oracle_images(
    scan: &Scan,
    denoised: Option<Denoised<'_>>,
    truth: Option<&Responses>,
    weights: &ScanWeights,
) -> Result<OracleComparison> {
    let means = scan.repeat_means();
    let repeats = scan.repeats().values().map(Vec::len).min().unwrap_or(0);
    let of_oracle_images = |responses: &Responses| responses.select(means.ids());
    let parts = Parts {
        trials: (0..repeats).map(|repeat| scan.repeat(repeat)).collect(),
        others: (0..repeats).map(|repeat| means_of_others(scan, repeat)).collect::<Result<_>>()?,
        denoised: denoised.map(|denoised| of_oracle_images(denoised.responses)).transpose()?,
        variances: denoised.and_then(|denoised| denoised.variances),
        truth: truth.map(of_oracle_images).transpose()?,
        means,
        scan,
    };
    if parts.denoised.is_some() && weights.predicted.is_none() {
        let expected =
            "one for each neuron, from the correlation of predicted and measured responses".into();
        return Err(Error::Size {
            what: "weights of denoised responses",
            expected,
            found: "none".into(),
        });
    }
    let rule =
        |matrix: SimilarityMatrix| matrix.with_provenance(weights.standardized_over.description());
    let measured = weights.target_of_measured();
    let repeat_average = similarity(&parts.means, measured)?;
    let predicted = weights
        .target_of_predicted()
        .map(|weights| parts.predicted(weights))
        .transpose()?
        .unwrap_or_default();
    let combined = parts.combined_matrices(measured, parts.wanted(measured)?)?;
    let single_trials = matrices(&parts.trials, measured)?;
    let others = matrices(&parts.others, measured)?;
    let to_other_repeats =
        to_other_repeats(&single_trials, predicted.matrix.as_ref(), &combined, &others)?;
    let known = parts.truth.as_ref().map(|truth| similarity(truth, &weights.equal)).transpose()?;
    let to_truth = known
        .as_ref()
        .map(|known| parts.to_truth(known, predicted.matrix.as_ref(), &weights.equal))
        .transpose()?;
    let asked = Weighting::ALL.into_iter().filter(|weighting| {
        parts.denoised.is_some() || *weighting != Weighting::SignalToNoiseAndPrediction
    });
    let weightings = asked
        .filter_map(|weighting| Some(parts.compare(weighting, &weighting.of(weights)?)))
        .collect::<Result<_>>()?;
    Ok(OracleComparison {
        repeat_average: rule(repeat_average),
        denoised: predicted.matrix.map(rule),
        unexplained: predicted.unexplained,
        single_trials: single_trials.into_iter().map(rule).collect(),
        other_repeats: others.into_iter().map(rule).collect(),
        combined: combined.into_iter().map(rule).collect(),
        truth: known.map(rule),
        to_other_repeats,
        to_truth,
        weightings,
    })
}

/// The result of [`unexplained`] for predictions combined with the mean of the first `trials`
/// trials of each oracle image, or of all if there are fewer.
///
/// # Errors
/// Returns an error if `denoised` lacks an oracle image or if [`similarity`] fails.
pub fn unexplained_by_combined(
    scan: &Scan,
    denoised: &Responses,
    variances: &ErrorVariances,
    weights: &[f32],
    trials: usize,
) -> Result<f64> {
    let Some(wanted) = noise_free_spread(scan, weights)? else { return Ok(0.0) };
    let mut repeats = scan.repeats();
    repeats.values_mut().for_each(|of_image| of_image.truncate(trials.max(1)));
    let measured = means(scan, &repeats)?;
    let count = repeats.values().map(Vec::len).min().unwrap_or(1);
    let combined = variances.combined(&denoised.select(measured.ids())?, &measured, &|_| count)?;
    unexplained(&combined, weights, wanted)
}

/// Mean over the trials of each oracle image except trial `left_out`, in the order of
/// [`Scan::repeat_means`].
fn means_of_others(scan: &Scan, left_out: usize) -> Result<Responses> {
    let mut others = scan.repeats();
    for trials in others.values_mut().filter(|trials| left_out < trials.len()) {
        trials.remove(left_out);
    }
    means(scan, &others)
}

/// Mean over the given trials of each image.
pub(crate) fn means(scan: &Scan, of_image: &BTreeMap<usize, Vec<usize>>) -> Result<Responses> {
    let mut values = Array2::zeros((of_image.len(), scan.responses().ncols()));
    for (mut row, trials) in values.rows_mut().into_iter().zip(of_image.values()) {
        let count = trials.len() as f64;
        for (neuron, mean) in row.iter_mut().enumerate() {
            *mean = (trials
                .iter()
                .map(|trial| f64::from(scan.responses()[[*trial, neuron]]))
                .sum::<f64>()
                / count) as f32;
        }
    }
    let ids = of_image.keys().map(|image| scan.stimuli().ids()[*image]).collect();
    Ok(Responses::new(scan.name(), ResponseKind::Measured(Measurement::RepeatMean), ids, values)?)
}

fn matrices(responses: &[Responses], weights: &[f32]) -> Result<Vec<SimilarityMatrix>> {
    responses.iter().map(|responses| similarity(responses, weights)).collect()
}

/// Similarities of combined responses, all calibrated like the first one to the spread `wanted`.
fn sized(
    combined: &[Responses],
    weights: &[f32],
    wanted: Option<f64>,
) -> Result<Vec<SimilarityMatrix>> {
    let added = match (combined.first(), wanted) {
        (Some(first), Some(wanted)) => unexplained(first, weights, wanted)?,
        _ => 0.0,
    };
    combined.iter().map(|responses| calibrated_similarity(responses, weights, added)).collect()
}

/// Compares each trial, the denoised responses, and both combined with the repeats that exclude the
/// trial.
fn to_other_repeats(
    trials: &[SimilarityMatrix],
    denoised: Option<&SimilarityMatrix>,
    combined: &[SimilarityMatrix],
    others: &[SimilarityMatrix],
) -> Result<ToOtherRepeats> {
    let trials: Vec<_> = trials.iter().zip(others).collect();
    let combined: Vec<_> = combined.iter().zip(others).collect();
    let denoised =
        denoised.map(|denoised| others.iter().map(|others| (denoised, others)).collect::<Vec<_>>());
    Ok(ToOtherRepeats {
        single_trials: where_defined(mean_agreement(&trials, HalfSamples::default()))?,
        denoised: denoised
            .map(|denoised| where_defined(mean_agreement(&denoised, HalfSamples::default())))
            .transpose()?
            .flatten(),
        combined: match &combined[..] {
            [] => None,
            combined => where_defined(mean_agreement(combined, HalfSamples::default()))?,
        },
    })
}

/// The mean agreement of matrices with one reference.
fn with_one(
    matrices: &[SimilarityMatrix],
    reference: &SimilarityMatrix,
) -> Result<Option<Agreement>> {
    let compared: Vec<_> = matrices.iter().map(|matrix| (matrix, reference)).collect();
    where_defined(mean_agreement(&compared, HalfSamples::default()))
}

/// The responses of one scan to the same oracle images, by source.
struct Parts<'a> {
    scan: &'a Scan,
    trials: Vec<Responses>,
    /// For each of `trials`, the mean over each image's other trials.
    others: Vec<Responses>,
    means: Responses,
    denoised: Option<Responses>,
    variances: Option<&'a ErrorVariances>,
    truth: Option<Responses>,
}

/// The similarities of predictions, and the squared length added to their vectors.
#[derive(Default)]
struct PredictedMatrix {
    matrix: Option<SimilarityMatrix>,
    unexplained: f64,
}

impl Parts<'_> {
    /// The target spread of predicted similarities; `None` if they are not calibrated.
    fn wanted(&self, weights: &[f32]) -> Result<Option<f64>> {
        self.variances.map_or(Ok(None), |_| noise_free_spread(self.scan, weights))
    }

    fn predicted(&self, weights: &[f32]) -> Result<PredictedMatrix> {
        let Some(denoised) = &self.denoised else { return Ok(PredictedMatrix::default()) };
        let unexplained = self
            .wanted(weights)?
            .map_or(Ok(0.0), |wanted| unexplained(denoised, weights, wanted))?;
        Ok(PredictedMatrix {
            matrix: Some(calibrated_similarity(denoised, weights, unexplained)?),
            unexplained,
        })
    }

    /// Matrices of predictions combined with each trial, with one calibration; empty without
    /// variances.
    fn combined_matrices(
        &self,
        weights: &[f32],
        wanted: Option<f64>,
    ) -> Result<Vec<SimilarityMatrix>> {
        let (Some(denoised), Some(variances)) = (&self.denoised, self.variances) else {
            return Ok(Vec::new());
        };
        let combined = self.trials.iter().map(|trial| variances.combined(denoised, trial, &|_| 1));
        sized(&combined.collect::<Result<Vec<_>>>()?, weights, wanted)
    }

    /// The matrix of predictions combined with the means over all trials.
    fn combined_with_all(
        &self,
        weights: &[f32],
        wanted: Option<f64>,
    ) -> Result<Vec<SimilarityMatrix>> {
        let (Some(denoised), Some(variances)) = (&self.denoised, self.variances) else {
            return Ok(Vec::new());
        };
        sized(
            &[variances.combined(denoised, &self.means, &|_| self.trials.len())?],
            weights,
            wanted,
        )
    }

    fn to_truth(
        &self,
        known: &SimilarityMatrix,
        denoised: Option<&SimilarityMatrix>,
        equal: &[f32],
    ) -> Result<ToTruth> {
        let found = self.to_truth_alike(known, equal)?;
        Ok(ToTruth {
            single_trials: found.single_trials,
            repeat_average: found.repeat_average,
            denoised_equal_weights: found.denoised,
            denoised_weighted: denoised
                .map(|denoised| with_one(std::slice::from_ref(denoised), known))
                .transpose()?
                .flatten(),
        })
    }

    fn to_truth_alike(
        &self,
        known: &SimilarityMatrix,
        weights: &[f32],
    ) -> Result<ToTruthInOneWeighting> {
        let of = |responses: &[Responses]| with_one(&matrices(responses, weights)?, known);
        let wanted = self.wanted(weights)?;
        let of_combined = |matrices: Vec<SimilarityMatrix>| match &matrices[..] {
            [] => Ok(None),
            matrices => with_one(matrices, known),
        };
        Ok(ToTruthInOneWeighting {
            single_trials: of(&self.trials)?,
            repeat_average: of(std::slice::from_ref(&self.means))?,
            denoised: self
                .predicted(weights)?
                .matrix
                .map(|matrix| with_one(&[matrix], known))
                .transpose()?
                .flatten(),
            combined_with_one: of_combined(self.combined_matrices(weights, wanted)?)?,
            combined_with_all: of_combined(self.combined_with_all(weights, wanted)?)?,
        })
    }

    fn compare(&self, weighting: Weighting, weights: &[f32]) -> Result<WeightingComparison> {
        let denoised = self.predicted(weights)?.matrix;
        let combined = self.combined_matrices(weights, self.wanted(weights)?)?;
        let (trials, others) = (matrices(&self.trials, weights)?, matrices(&self.others, weights)?);
        let known = self.truth.as_ref().map(|truth| similarity(truth, weights)).transpose()?;
        Ok(WeightingComparison {
            weighting,
            to_other_repeats: to_other_repeats(&trials, denoised.as_ref(), &combined, &others)?,
            reliability: where_defined(repeat_reliability(self.scan, weights))?,
            to_truth: known
                .as_ref()
                .map(|known| self.to_truth_alike(known, weights))
                .transpose()?,
        })
    }
}
