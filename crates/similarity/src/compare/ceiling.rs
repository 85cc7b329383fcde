//! Noise ceilings: the best agreement any model could reach, given how well scans or repeats agree
//! with each other.

use super::numbers::moments;
use super::ranks::ranks;
use super::{Measure, matched};
use crate::{Error, Result, SimilarityMatrix, halves, similarity};
use brainprior_recording::Scan;
use rayon::prelude::*;

/// Bounds of the agreement that the true matrix would reach (Nili et al., PLoS Comput. Biol. 2014).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseCeiling {
    /// Mean agreement of each matrix with the mean of the others. The truth agrees at least this
    /// well.
    pub lower: f64,
    /// Mean agreement of each matrix with the mean of all, including itself. The truth cannot agree
    /// better.
    pub upper: f64,
}

/// Noise ceiling over matrices of the same images (in any order), one per scan or animal. As in
/// rsatoolbox, the mean is the one with the best agreement under the measure: of standardized,
/// normalized or ranked values.
///
/// # Errors
/// Returns an error if there are fewer than two matrices, if images differ, or if a matrix does not
/// vary.
pub fn noise_ceiling(measure: Measure, matrices: &[&SimilarityMatrix]) -> Result<NoiseCeiling> {
    enough(matrices.len(), "matrices of a noise ceiling")?;
    let images = matrices[0].len();
    let matched =
        matrices.iter().map(|matrix| matched(matrices[0], matrix)).collect::<Result<Vec<_>>>()?;
    let values: Vec<Vec<f64>> =
        matched.iter().map(|matrix| measure.values(matrix.packed())).collect();
    let prepared: Vec<Vec<f64>> =
        values.par_iter().map(|values| prepared(measure, values)).collect();
    let all: Vec<usize> = (0..values.len()).collect();
    let upper = mean_of(&prepared, &all);
    let mut ceiling = NoiseCeiling { lower: 0.0, upper: 0.0 };
    for (own, values) in values.iter().enumerate() {
        let others: Vec<usize> = all.iter().copied().filter(|other| *other != own).collect();
        ceiling.lower +=
            measure.of(&mean_of(&prepared, &others), values, images)? / values_count(&all);
        ceiling.upper += measure.of(&upper, values, images)? / values_count(&all);
    }
    Ok(ceiling)
}

/// Reliability of the similarities of a scan's repeated images: Pearson correlations over pairs
/// between measurements with independent noise. The noise ceiling is the square root of the
/// reliability: two measurements share only the truth, so the truth itself would correlate with a
/// measurement by that much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepeatReliability {
    /// Reliability of single trials: mean correlation between the matrices of two repeats.
    pub single_trials: f64,
    /// Reliability of the repeat average: the correlation r between the matrices of two random
    /// halves of each image's trials, averaged over twenty splits and corrected for the halved
    /// number of trials, 2 r / (1 + r) (Spearman 1910; Brown 1910).
    pub average: f64,
}

impl RepeatReliability {
    /// Noise ceiling for single trials; 0 if they do not repeat at all.
    pub fn ceiling_of_single_trials(&self) -> f64 {
        self.single_trials.max(0.0).sqrt()
    }

    /// Noise ceiling for the repeat average; 0 if trials do not repeat at all.
    pub fn ceiling_of_average(&self) -> f64 {
        self.average.max(0.0).sqrt()
    }
}

/// Random splits of the repeats over which the reliability is averaged.
const SPLITS: u64 = 20;

/// Reliability of the similarities of a scan's repeated images, with weighted neurons.
///
/// # Errors
/// Returns an error if the scan has no repeats, if matrices do not vary, as with two images, or if
/// [`similarity`] fails.
pub fn repeat_reliability(scan: &Scan, weights: &[f32]) -> Result<RepeatReliability> {
    let repeats = scan.repeats().values().map(Vec::len).min().unwrap_or(0);
    enough(repeats, "repeats of a noise ceiling")?;
    // The number of repeats that every image has.
    let trials: Vec<SimilarityMatrix> = (0..repeats)
        .map(|repeat| similarity(&scan.repeat(repeat), weights))
        .collect::<Result<_>>()?;
    let mut single_trials = Vec::new();
    for (index, first) in trials.iter().enumerate() {
        for second in &trials[index + 1..] {
            single_trials.push(super::pearson(first, second)?);
        }
    }
    let mut split = Vec::new();
    for seed in 0..SPLITS {
        let (first, second) = halves(scan, seed)?;
        split.push(super::pearson(&similarity(&first, weights)?, &similarity(&second, weights)?)?);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let half = mean(&split);
    // The correction does not apply to a reliability of zero or below.
    let average = if half > 0.0 { 2.0 * half / (1.0 + half) } else { half };
    Ok(RepeatReliability { single_trials: mean(&single_trials), average })
}

fn enough(count: usize, what: &'static str) -> Result<()> {
    match count {
        0 | 1 => Err(Error::Size { what, expected: "at least 2".into(), found: count.to_string() }),
        _ => Ok(()),
    }
}

fn values_count(all: &[usize]) -> f64 {
    all.len() as f64
}

/// Transforms values for averaging under the measure.
fn prepared(measure: Measure, values: &[f64]) -> Vec<f64> {
    match measure {
        Measure::Pearson => {
            let (mean, variance) = moments(values);
            values
                .iter()
                .map(|value| (value - mean) / variance.sqrt().max(f64::MIN_POSITIVE))
                .collect()
        }
        Measure::Spearman | Measure::KendallTauA => ranks(values),
        Measure::Cosine | Measure::WhitenedCosine | Measure::DebiasedCka => {
            let square =
                values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
            values.iter().map(|value| value / square.sqrt().max(f64::MIN_POSITIVE)).collect()
        }
    }
}

fn mean_of(values: &[Vec<f64>], chosen: &[usize]) -> Vec<f64> {
    (0..values[0].len())
        .map(|pair| chosen.iter().map(|of| values[*of][pair]).sum::<f64>() / chosen.len() as f64)
        .collect()
}
