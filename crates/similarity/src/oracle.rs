//! What the oracle images, each shown several times, say about a target: how far denoised responses, and single trials,
//! find them as alike as the average over repeats does, and as the truth does where it is known.

use crate::{Bootstrap, Measure, Result, ScanWeights, SimilarityMatrix, similarity};
use crate::{Interval, bootstrap_images_of_mean, pearson, repeat_noise_ceiling};
use brainprior_images::ImageId;
use brainprior_recording::{Responses, Scan};

/// The similarities of one scan's oracle images from each source, and how far they agree.
#[derive(Clone, Debug)]
pub struct OracleComparison {
    /// Of the means over repeats, times w.
    pub repeat_average: SimilarityMatrix,
    /// Of the denoised responses, times w v.
    pub denoised: SimilarityMatrix,
    /// Of each repeat by itself, times w; as many as the least often shown image has.
    pub single_trials: Vec<SimilarityMatrix>,
    /// Of the expected responses, at equal weights.
    pub truth: Option<SimilarityMatrix>,
    /// Correlations with `repeat_average`.
    pub to_repeat_average: ToRepeatAverage,
    /// Correlations with `truth`.
    pub to_truth: Option<ToTruth>,
    /// Correlations with the similarity of the truth in each weighting; none where the truth is not known or nothing was
    /// repeated.
    pub weightings: Vec<WeightingComparison>,
}

/// Pearson correlations with the similarity of the repeat average, over the pairs of oracle images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToRepeatAverage {
    /// Of single trials, the mean over repeats.
    pub single_trials: f64,
    /// Of denoised responses.
    pub denoised: f64,
}

/// Pearson correlations with the similarity of the true expected responses, over the pairs of oracle images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToTruth {
    /// Of single trials at equal weights, the mean over repeats.
    pub single_trials: f64,
    /// Of the means over repeats, at equal weights.
    pub repeat_average: f64,
    /// Of denoised responses at equal weights.
    pub denoised_equal_weights: f64,
    /// Of denoised responses times w v; the truth at equal weights.
    pub denoised_weighted: f64,
}

/// What each neuron counts, in both the compared responses and the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// One, in the units of the file.
    FileUnits,
    /// One over its standard deviation over the training tier.
    Equal,
    /// The same times w, and times w v on both sides where denoised responses are compared.
    SignalToNoise,
}

impl Weighting {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FileUnits, Self::Equal, Self::SignalToNoise];
}

/// Pearson correlations with the similarity of the truth in one weighting, with intervals of 95% over images.
#[derive(Clone, Copy, Debug)]
pub struct WeightingComparison {
    /// What each neuron counts.
    pub weighting: Weighting,
    /// Of single trials, the mean over repeats.
    pub single_trials: Interval,
    /// Of the means over repeats.
    pub repeat_average: Interval,
    /// Of denoised responses.
    pub denoised: Interval,
    /// What the truth could reach with single trials, estimated without it: a bound from below.
    pub ceiling_lower: f64,
    /// The bound from above.
    pub ceiling_upper: f64,
}

/// Compares the similarities of a scan's oracle images. `denoised` and `truth` hold at least those images.
///
/// # Errors
/// An oracle image that `denoised` or `truth` lacks; a scan without oracle images; whatever [`similarity`] refuses.
pub fn compare_oracle_images(
    scan: &Scan,
    denoised: &Responses,
    truth: Option<&Responses>,
    weights: &ScanWeights,
) -> Result<OracleComparison> {
    let means = scan.repeat_means();
    let repeat_average = similarity(&means, &weights.measured)?;
    let ids = repeat_average.ids().to_vec();
    let denoised_responses = denoised.select(&ids)?;
    let denoised = similarity(&denoised_responses, &weights.predicted)?;
    let trials = repeats_of(scan, &ids)?;
    let single_trials = matrices(&trials, &weights.measured)?;
    let to_repeat_average = ToRepeatAverage {
        single_trials: mean_agreement(&single_trials, &repeat_average)?,
        denoised: pearson(&denoised, &repeat_average)?,
    };
    let truth_responses = truth.map(|truth| truth.select(&ids)).transpose()?;
    let (mut truth, mut to_truth, mut weightings) = (None, None, Vec::new());
    if let Some(responses) = &truth_responses {
        let known = similarity(responses, &weights.equal)?;
        let against = |responses: &Responses, weights: &[f32]| pearson(&similarity(responses, weights)?, &known);
        to_truth = Some(ToTruth {
            single_trials: mean_agreement(&matrices(&trials, &weights.equal)?, &known)?,
            repeat_average: against(&means, &weights.equal)?,
            denoised_equal_weights: against(&denoised_responses, &weights.equal)?,
            denoised_weighted: against(&denoised_responses, &weights.predicted)?,
        });
        truth = Some(known);
        if trials.len() > 1 {
            let parts = Parts { trials: &trials, means: &means, denoised: &denoised_responses, truth: responses };
            weightings = Weighting::ALL.iter().map(|weighting| parts.compare(*weighting, weights)).collect::<Result<_>>()?;
        }
    }
    Ok(OracleComparison { repeat_average, denoised, single_trials, truth, to_repeat_average, to_truth, weightings })
}

/// Each repeat of the oracle images, as many as every one of them has.
fn repeats_of(scan: &Scan, ids: &[ImageId]) -> Result<Vec<Responses>> {
    let repeats = scan.repeats().values().map(Vec::len).min().unwrap_or(0);
    (0..repeats).map(|repeat| Ok(scan.repeat(repeat).select(ids)?)).collect()
}

fn matrices(responses: &[Responses], weights: &[f32]) -> Result<Vec<SimilarityMatrix>> {
    responses.iter().map(|responses| similarity(responses, weights)).collect()
}

fn mean_agreement(matrices: &[SimilarityMatrix], with: &SimilarityMatrix) -> Result<f64> {
    let agreements: Vec<f64> = matrices.iter().map(|matrix| pearson(matrix, with)).collect::<Result<_>>()?;
    Ok(agreements.iter().sum::<f64>() / agreements.len() as f64)
}

/// The responses of one scan to the same oracle images, by where they come from.
struct Parts<'a> {
    trials: &'a [Responses],
    means: &'a Responses,
    denoised: &'a Responses,
    truth: &'a Responses,
}

impl Parts<'_> {
    fn compare(&self, weighting: Weighting, weights: &ScanWeights) -> Result<WeightingComparison> {
        let ones = vec![1.0; weights.equal.len()];
        let (measured, predicted) = match weighting {
            Weighting::FileUnits => (&ones, &ones),
            Weighting::Equal => (&weights.equal, &weights.equal),
            Weighting::SignalToNoise => (&weights.measured, &weights.predicted),
        };
        let against = |responses: &[Responses], weights: &[f32]| -> Result<Interval> {
            let truth = similarity(self.truth, weights)?;
            let matrices = matrices(responses, weights)?;
            let matrices: Vec<&SimilarityMatrix> = matrices.iter().collect();
            bootstrap_images_of_mean(Measure::Pearson, &matrices, &truth, Bootstrap::default())
        };
        let ceiling = repeat_noise_ceiling(Measure::Pearson, self.trials, measured)?;
        Ok(WeightingComparison {
            weighting,
            single_trials: against(self.trials, measured)?,
            repeat_average: against(std::slice::from_ref(self.means), measured)?,
            denoised: against(std::slice::from_ref(self.denoised), predicted)?,
            ceiling_lower: ceiling.lower,
            ceiling_upper: ceiling.upper,
        })
    }
}
