//! What the oracle images, each shown several times, say about a target: how far denoised responses, and single trials,
//! find them as alike as other trials do, and as the truth does where it is known; and how far the trials agree at all.

use crate::{Agreement, Error, HalfSamples, RepeatReliability, Result, ScanWeights, SimilarityMatrix};
use crate::{mean_agreement, repeat_reliability, similarity, where_defined};
use brainprior_recording::{Measurement, ResponseKind, Responses, Scan};
use ndarray::Array2;

/// The similarities of one scan's oracle images from each source, and how far they agree.
///
/// An agreement is `None` where there is none: with two oracle images, whose one pair does not vary, or without a response model.
#[derive(Clone, Debug)]
pub struct OracleComparison {
    /// Of the means over repeats, times w.
    pub repeat_average: SimilarityMatrix,
    /// Of the denoised responses, times w v.
    pub denoised: Option<SimilarityMatrix>,
    /// Of each repeat by itself, times w; as many as the least often shown image has.
    pub single_trials: Vec<SimilarityMatrix>,
    /// For each of `single_trials`, of the means over the other trials of each image, times w.
    pub other_repeats: Vec<SimilarityMatrix>,
    /// Of the expected responses, at equal weights.
    pub truth: Option<SimilarityMatrix>,
    /// With the weights of the targets: measured responses times w, denoised ones times w v. Intervals here are of 95% over images.
    pub to_other_repeats: ToOtherRepeats,
    /// Agreement with `truth`.
    pub to_truth: Option<ToTruth>,
    /// Both sides in the same weights; those with v only where responses are denoised.
    pub weightings: Vec<WeightingComparison>,
}

/// Agreement with the similarity of repeats that the compared trial is not among: for each repeat t, the reference is the mean over
/// the other trials of each image. Means over t. An average that held trial t would agree with it for its noise alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToOtherRepeats {
    /// Of trial t.
    pub single_trials: Option<Agreement>,
    /// Of denoised responses, against the same references.
    pub denoised: Option<Agreement>,
}

/// Agreement with the similarity of the true expected responses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToTruth {
    /// Of single trials at equal weights, the mean over repeats.
    pub single_trials: Option<Agreement>,
    /// Of the means over repeats, at equal weights.
    pub repeat_average: Option<Agreement>,
    /// Of denoised responses at equal weights.
    pub denoised_equal_weights: Option<Agreement>,
    /// Of denoised responses times w v, as targets are made; the truth at equal weights.
    pub denoised_weighted: Option<Agreement>,
}

/// What each neuron counts, in everything that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// One, in the units of the file.
    FileUnits,
    /// One over its standard deviation.
    Equal,
    /// The same times w.
    SignalToNoise,
    /// The same times w v.
    SignalToNoiseAndPrediction,
}

impl Weighting {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::FileUnits, Self::Equal, Self::SignalToNoise, Self::SignalToNoiseAndPrediction];

    /// `None` where the weights are those of a response model that is not there.
    fn of(self, weights: &ScanWeights) -> Option<Vec<f32>> {
        match self {
            Self::FileUnits => Some(vec![1.0; weights.equal.len()]),
            Self::Equal => Some(weights.equal.clone()),
            Self::SignalToNoise => Some(weights.measured.clone()),
            Self::SignalToNoiseAndPrediction => weights.predicted.clone(),
        }
    }
}

/// Agreements in one weighting.
#[derive(Clone, Copy, Debug)]
pub struct WeightingComparison {
    /// What each neuron counts.
    pub weighting: Weighting,
    /// With the repeats that a trial is not among.
    pub to_other_repeats: ToOtherRepeats,
    /// How far the repeats agree; the roots are what the truth could reach.
    pub reliability: Option<RepeatReliability>,
    /// With the truth, where it is known.
    pub to_truth: Option<ToTruthInOneWeighting>,
}

/// Agreement with the similarity of the true expected responses, weighted as what is compared with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToTruthInOneWeighting {
    /// Of single trials, the mean over repeats.
    pub single_trials: Option<Agreement>,
    /// Of the means over repeats.
    pub repeat_average: Option<Agreement>,
    /// Of denoised responses.
    pub denoised: Option<Agreement>,
}

/// Compares the similarities of a scan's oracle images. `denoised` and `truth`, where they are given, hold at least those images.
///
/// # Errors
/// An oracle image that `denoised` or `truth` lacks; denoised responses without weights; fewer than two oracle images; whatever
/// [`similarity`] refuses.
pub fn compare_oracle_images(
    scan: &Scan,
    denoised: Option<&Responses>,
    truth: Option<&Responses>,
    weights: &ScanWeights,
) -> Result<OracleComparison> {
    let means = scan.repeat_means();
    let repeats = scan.repeats().values().map(Vec::len).min().unwrap_or(0);
    let of_oracle_images = |responses: &Responses| responses.select(means.ids());
    let parts = Parts {
        trials: (0..repeats).map(|repeat| scan.repeat(repeat)).collect(),
        others: (0..repeats).map(|repeat| means_of_others(scan, repeat)).collect::<Result<_>>()?,
        denoised: denoised.map(of_oracle_images).transpose()?,
        truth: truth.map(of_oracle_images).transpose()?,
        means: scan.repeat_means(),
        scan,
    };
    let predicted = match (&parts.denoised, &weights.predicted) {
        (Some(denoised), Some(predicted)) => Some((denoised, predicted)),
        (Some(_), None) => {
            let expected = "one for each neuron, from the correlation of predicted and measured responses".into();
            return Err(Error::Size { what: "weights of denoised responses", expected, found: "none".into() });
        }
        (None, _) => None,
    };
    let rule = |matrix: SimilarityMatrix| matrix.with_provenance(weights.standardized_over.description());
    let repeat_average = similarity(&parts.means, &weights.measured)?;
    let denoised = predicted.map(|(denoised, weights)| similarity(denoised, weights)).transpose()?;
    let single_trials = matrices(&parts.trials, &weights.measured)?;
    let others = matrices(&parts.others, &weights.measured)?;
    let to_other_repeats = to_other_repeats(&single_trials, denoised.as_ref(), &others)?;
    let known = parts.truth.as_ref().map(|truth| similarity(truth, &weights.equal)).transpose()?;
    let to_truth = known.as_ref().map(|known| parts.to_truth(known, denoised.as_ref(), &weights.equal)).transpose()?;
    let asked =
        Weighting::ALL.into_iter().filter(|weighting| predicted.is_some() || *weighting != Weighting::SignalToNoiseAndPrediction);
    let weightings =
        asked.filter_map(|weighting| Some(parts.compare(weighting, &weighting.of(weights)?))).collect::<Result<_>>()?;
    Ok(OracleComparison {
        repeat_average: rule(repeat_average),
        denoised: denoised.map(rule),
        single_trials: single_trials.into_iter().map(rule).collect(),
        other_repeats: others.into_iter().map(rule).collect(),
        truth: known.map(rule),
        to_other_repeats,
        to_truth,
        weightings,
    })
}

/// Mean over the trials of each oracle image but its trial `left_out`, in the order of [`Scan::repeat_means`].
fn means_of_others(scan: &Scan, left_out: usize) -> Result<Responses> {
    let repeats = scan.repeats();
    let mut values = Array2::zeros((repeats.len(), scan.responses().ncols()));
    for (mut row, trials) in values.rows_mut().into_iter().zip(repeats.values()) {
        let others = || trials.iter().enumerate().filter(|(repeat, _)| *repeat != left_out).map(|(_, trial)| *trial);
        let count = others().count() as f64;
        for (neuron, mean) in row.iter_mut().enumerate() {
            *mean = (others().map(|trial| f64::from(scan.responses()[[trial, neuron]])).sum::<f64>() / count) as f32;
        }
    }
    let ids = repeats.keys().map(|image| scan.stimuli().ids()[*image]).collect();
    Ok(Responses::new(scan.name(), ResponseKind::Measured(Measurement::RepeatMean), ids, values)?)
}

fn matrices(responses: &[Responses], weights: &[f32]) -> Result<Vec<SimilarityMatrix>> {
    responses.iter().map(|responses| similarity(responses, weights)).collect()
}

/// Each trial, and the denoised responses, against the repeats that the trial is not among.
fn to_other_repeats(
    trials: &[SimilarityMatrix],
    denoised: Option<&SimilarityMatrix>,
    others: &[SimilarityMatrix],
) -> Result<ToOtherRepeats> {
    let trials: Vec<_> = trials.iter().zip(others).collect();
    let denoised = denoised.map(|denoised| others.iter().map(|others| (denoised, others)).collect::<Vec<_>>());
    Ok(ToOtherRepeats {
        single_trials: where_defined(mean_agreement(&trials, HalfSamples::default()))?,
        denoised: denoised
            .map(|denoised| where_defined(mean_agreement(&denoised, HalfSamples::default())))
            .transpose()?
            .flatten(),
    })
}

/// The mean agreement of matrices with one reference.
fn with_one(matrices: &[SimilarityMatrix], reference: &SimilarityMatrix) -> Result<Option<Agreement>> {
    let compared: Vec<_> = matrices.iter().map(|matrix| (matrix, reference)).collect();
    where_defined(mean_agreement(&compared, HalfSamples::default()))
}

/// The responses of one scan to the same oracle images, by where they come from.
struct Parts<'a> {
    scan: &'a Scan,
    trials: Vec<Responses>,
    /// For each of `trials`, the mean over the other trials of each image.
    others: Vec<Responses>,
    means: Responses,
    denoised: Option<Responses>,
    truth: Option<Responses>,
}

impl Parts<'_> {
    fn to_truth(&self, known: &SimilarityMatrix, denoised: Option<&SimilarityMatrix>, equal: &[f32]) -> Result<ToTruth> {
        let found = self.to_truth_alike(known, equal)?;
        Ok(ToTruth {
            single_trials: found.single_trials,
            repeat_average: found.repeat_average,
            denoised_equal_weights: found.denoised,
            denoised_weighted: denoised.map(|denoised| with_one(std::slice::from_ref(denoised), known)).transpose()?.flatten(),
        })
    }

    fn to_truth_alike(&self, known: &SimilarityMatrix, weights: &[f32]) -> Result<ToTruthInOneWeighting> {
        let of = |responses: &[Responses]| with_one(&matrices(responses, weights)?, known);
        Ok(ToTruthInOneWeighting {
            single_trials: of(&self.trials)?,
            repeat_average: of(std::slice::from_ref(&self.means))?,
            denoised: self.denoised.as_ref().map(|denoised| of(std::slice::from_ref(denoised))).transpose()?.flatten(),
        })
    }

    fn compare(&self, weighting: Weighting, weights: &[f32]) -> Result<WeightingComparison> {
        let denoised = self.denoised.as_ref().map(|denoised| similarity(denoised, weights)).transpose()?;
        let (trials, others) = (matrices(&self.trials, weights)?, matrices(&self.others, weights)?);
        let known = self.truth.as_ref().map(|truth| similarity(truth, weights)).transpose()?;
        Ok(WeightingComparison {
            weighting,
            to_other_repeats: to_other_repeats(&trials, denoised.as_ref(), &others)?,
            reliability: where_defined(repeat_reliability(self.scan, weights))?,
            to_truth: known.as_ref().map(|known| self.to_truth_alike(known, weights)).transpose()?,
        })
    }
}
