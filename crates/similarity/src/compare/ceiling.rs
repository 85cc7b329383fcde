//! How well any model could do, given how well the scans, or the repeats, agree among themselves.

use super::numbers::moments;
use super::ranks::ranks;
use super::{Measure, matched};
use crate::{Error, Result, SimilarityMatrix, similarity};
use brainprior_recording::Responses;
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

/// Noise ceiling over repeats of one scan, `repeats[t]` being the t-th trial of each image: the matrix of each repeat against
/// that of the mean response over the other repeats (lower), and over all (upper). Means are taken over responses, because a
/// matrix is not linear in them.
///
/// # Errors
/// Fewer than two repeats, or repeats of other images; whatever [`similarity`] refuses.
pub fn repeat_noise_ceiling(measure: Measure, repeats: &[Responses], weights: &[f32]) -> Result<NoiseCeiling> {
    enough(repeats.len(), "repeats of a noise ceiling")?;
    let mean = |of: &dyn Fn(usize) -> bool| -> Result<SimilarityMatrix> {
        let chosen: Vec<&Responses> = repeats.iter().enumerate().filter(|(repeat, _)| of(*repeat)).map(|(_, r)| r).collect();
        similarity(&mean_responses(&chosen)?, weights)
    };
    let all = mean(&|_| true)?;
    let mut ceiling = NoiseCeiling { lower: 0.0, upper: 0.0 };
    for (own, responses) in repeats.iter().enumerate() {
        let matrix = similarity(responses, weights)?;
        let share = 1.0 / repeats.len() as f64;
        ceiling.lower += share * super::compare(measure, &mean(&|repeat| repeat != own)?, &matrix)?;
        ceiling.upper += share * super::compare(measure, &all, &matrix)?;
    }
    Ok(ceiling)
}

fn enough(count: usize, what: &'static str) -> Result<()> {
    match count {
        0 | 1 => Err(Error::Size { what, expected: "at least 2".into(), found: count.to_string() }),
        _ => Ok(()),
    }
}

fn mean_responses(repeats: &[&Responses]) -> Result<Responses> {
    let first = repeats[0];
    let mut sums = first.values().mapv(f64::from);
    for other in &repeats[1..] {
        if other.ids() != first.ids() || other.values().dim() != first.values().dim() {
            return Err(Error::Size {
                what: "repeats of a noise ceiling",
                expected: format!(
                    "the {} images and {} neurons of the first repeat, in its order",
                    first.ids().len(),
                    first.values().ncols()
                ),
                found: format!("{} images and {} neurons", other.ids().len(), other.values().ncols()),
            });
        }
        sums.zip_mut_with(other.values(), |sum, value| *sum += f64::from(*value));
    }
    let means = sums.mapv(|sum| (sum / repeats.len() as f64) as f32);
    Ok(Responses::new(first.scan(), first.kind(), first.ids().to_vec(), means)
        .expect("means of finite responses to the same images"))
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
