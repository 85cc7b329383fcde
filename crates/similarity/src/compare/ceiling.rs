//! How well any model could do, given how well the scans, or the repeats, agree among themselves.

use super::numbers::moments;
use super::ranks::ranks;
use super::{Measure, matched};
use crate::{Error, Result, SimilarityMatrix, halves, similarity};
use brainprior_recording::Scan;
use rayon::prelude::*;

/// Bounds of the agreement that the true matrix would reach (Nili et al., PLoS Comput. Biol. 2014).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseCeiling {
    /// Mean agreement of each with the mean of the others: what the truth, estimated without it, reaches.
    pub lower: f64,
    /// Mean agreement of each with the mean of all, itself among them: more than the truth can reach.
    pub upper: f64,
}

/// Noise ceiling over matrices of the same images (in any order), one for each scan or animal. The mean is the one that agrees
/// best under the measure, as in rsatoolbox: of standardised, normalised or ranked values.
///
/// # Errors
/// Fewer than two matrices; an image that only some have; a matrix without variation.
pub fn noise_ceiling(measure: Measure, matrices: &[&SimilarityMatrix]) -> Result<NoiseCeiling> {
    enough(matrices.len(), "matrices of a noise ceiling")?;
    let images = matrices[0].len();
    let matched = matrices.iter().map(|matrix| matched(matrices[0], matrix)).collect::<Result<Vec<_>>>()?;
    let values: Vec<Vec<f64>> = matched.iter().map(|matrix| measure.values(matrix.packed())).collect();
    let prepared: Vec<Vec<f64>> = values.par_iter().map(|values| prepared(measure, values)).collect();
    let all: Vec<usize> = (0..values.len()).collect();
    let upper = mean_of(&prepared, &all);
    let mut ceiling = NoiseCeiling { lower: 0.0, upper: 0.0 };
    for (own, values) in values.iter().enumerate() {
        let others: Vec<usize> = all.iter().copied().filter(|other| *other != own).collect();
        ceiling.lower += measure.of(&mean_of(&prepared, &others), values, images)? / values_count(&all);
        ceiling.upper += measure.of(&upper, values, images)? / values_count(&all);
    }
    Ok(ceiling)
}

/// How far the similarities of one scan's repeated images repeat: Pearson correlations over pairs, between measurements whose
/// noise is independent. A model that knew the truth would correlate with a measurement by the root of its reliability, since
/// two measurements have nothing but the truth in common: that root is the noise ceiling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepeatReliability {
    /// Of single trials: mean correlation of the matrices of two repeats.
    pub single_trials: f64,
    /// Of the mean over all repeats: the correlation r of the matrices of two random halves of each image's trials, mean over
    /// twenty splits, corrected for the half number of trials, 2 r / (1 + r) (Spearman 1910; Brown 1910).
    pub average: f64,
}

impl RepeatReliability {
    /// What the truth reaches with single trials; 0 where they do not repeat at all.
    pub fn ceiling_of_single_trials(&self) -> f64 {
        self.single_trials.max(0.0).sqrt()
    }

    /// What the truth reaches with the mean over repeats; 0 where they do not repeat at all.
    pub fn ceiling_of_average(&self) -> f64 {
        self.average.max(0.0).sqrt()
    }
}

/// Splits of the repeats into halves over which a reliability is averaged.
const SPLITS: u64 = 20;

/// Reliability of the similarities of a scan's repeated images, neurons being weighted.
///
/// # Errors
/// A scan without repeats; matrices without variation, as those of two images; whatever [`similarity`] refuses.
pub fn repeat_reliability(scan: &Scan, weights: &[f32]) -> Result<RepeatReliability> {
    let repeats = scan.repeats().values().map(Vec::len).min().unwrap_or(0);
    enough(repeats, "repeats of a noise ceiling")?;
    // As many repeats as every image has.
    let trials: Vec<SimilarityMatrix> =
        (0..repeats).map(|repeat| similarity(&scan.repeat(repeat), weights)).collect::<Result<_>>()?;
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
    // What does not repeat at all is not made more reliable by more repeats.
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

/// Values as their mean is taken.
fn prepared(measure: Measure, values: &[f64]) -> Vec<f64> {
    match measure {
        Measure::Pearson => {
            let (mean, variance) = moments(values);
            values.iter().map(|value| (value - mean) / variance.sqrt().max(f64::MIN_POSITIVE)).collect()
        }
        Measure::Spearman | Measure::KendallTauA => ranks(values),
        Measure::Cosine | Measure::WhitenedCosine | Measure::DebiasedCka => {
            let square = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
            values.iter().map(|value| value / square.sqrt().max(f64::MIN_POSITIVE)).collect()
        }
    }
}

fn mean_of(values: &[Vec<f64>], chosen: &[usize]) -> Vec<f64> {
    (0..values[0].len()).map(|pair| chosen.iter().map(|of| values[*of][pair]).sum::<f64>() / chosen.len() as f64).collect()
}
