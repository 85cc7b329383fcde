//! Confidence intervals of an agreement over images, neurons or scans, from random halves.
//!
//! A bootstrap draws with replacement, and its copies bias any function of pairs: an image paired
//! with its own copy agrees in any two matrices, pairs that share copies are tied, and fewer
//! distinct neurons average out less noise. The interval may then even exclude its own value. A
//! random half, drawn without replacement, has no copies, and halves of n items vary around the
//! whole as the whole varies around the truth, to first order: the variance of the mean of m out of
//! n is (1/m - 1/n) s^2, which for m = n/2 is s^2 / n (half-samples, McCarthy, Rev. Int. Stat.
//! Inst. 1969; the delete-d jackknife, Shao and Wu, Ann. Stat. 1989; subsampling, Politis and
//! Romano, Ann. Stat. 1994). For pairs the second order is counted more than once, so intervals of
//! few images are somewhat wide.

use super::{Measure, compare, matched};
use crate::matrix::row_start;
use crate::{Error, Result, SimilarityMatrix, average, vectors};
use brainprior_images::ImageId;
use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Smallest number of images in a half for which every measure is defined.
const LEAST_IMAGES: usize = 8;

/// How to draw halves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfSamples {
    /// Number of halves.
    pub count: usize,
    /// Fraction of the halves within the interval.
    pub level: f64,
    /// Seed; each half has its own random stream, so the number of threads does not matter.
    pub seed: u64,
}

impl Default for HalfSamples {
    fn default() -> Self {
        Self { count: 1000, level: 0.95, seed: 0 }
    }
}

/// Confidence interval of an agreement; always contains the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The value minus the distance from the median of the halves to their lower percentile.
    pub low: f64,
    /// The value plus the distance from the median of the halves to their upper percentile.
    pub high: f64,
    /// Standard deviation of the halves (ddof 1).
    pub standard_error: f64,
}

/// An agreement with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The agreement of the whole sample.
    pub value: f64,
    /// `None` if there are too few images.
    pub interval: Option<Interval>,
}

/// The agreement of two matrices with its interval over images: what other samples of as many
/// images would have given. The same images are drawn in both matrices. With fewer than eight
/// images there is no interval.
///
/// [`Measure::WhitenedCosine`] has a bias that depends on the number of images; each half estimates
/// it for the full number.
///
/// # Errors
/// Returns an error if [`compare`] does or if the settings have no halves.
pub fn interval_over_images(
    measure: Measure,
    first: &SimilarityMatrix,
    second: &SimilarityMatrix,
    how: HalfSamples,
) -> Result<Estimate> {
    interval_over_images_of_mean(measure, &[(first, second)], how)
}

/// Like [`interval_over_images`], for the mean agreement of several pairs of matrices of the same
/// images, such as the repeats of a scan.
///
/// # Errors
/// Returns an error if [`interval_over_images`] does or if there are no matrices.
pub fn interval_over_images_of_mean(
    measure: Measure,
    compared: &[(&SimilarityMatrix, &SimilarityMatrix)],
    how: HalfSamples,
) -> Result<Estimate> {
    let Some((reference, _)) = compared.first() else {
        return Err(Error::Size {
            what: "matrices to compare",
            expected: "at least 1".into(),
            found: "none".into(),
        });
    };
    let images = reference.len();
    let of_reference = |matrix: &SimilarityMatrix| -> Result<Vec<f64>> {
        Ok(measure.values(matched(reference, matrix)?.packed()))
    };
    let values: Vec<(Vec<f64>, Vec<f64>)> = compared
        .iter()
        .map(|(first, second)| Ok((of_reference(first)?, of_reference(second)?)))
        .collect::<Result<_>>()?;
    let of_all = |(first, second): &(Vec<f64>, Vec<f64>)| measure.of(first, second, images);
    let value = values.iter().map(of_all).sum::<Result<f64>>()? / values.len() as f64;
    if images < LEAST_IMAGES {
        return Ok(Estimate { value, interval: None });
    }
    estimate(value, images, how, |drawn| {
        let mut pairs = Vec::with_capacity(drawn.len() * drawn.len() / 2);
        for (position, i) in drawn.iter().enumerate() {
            pairs.extend(drawn[position + 1..].iter().map(|j| row_start(images, *i) + j - i - 1));
        }
        let gathered =
            |values: &[f64]| -> Vec<f64> { pairs.iter().map(|pair| values[*pair]).collect() };
        let of = |(first, second): &(Vec<f64>, Vec<f64>)| {
            measure.of_part(&gathered(first), &gathered(second), drawn.len(), images)
        };
        Ok(values.iter().map(of).sum::<Result<f64>>()? / values.len() as f64)
    })
}

/// The agreement between `reference` and the matrix of `values` (see [`vectors`]), with its
/// interval over neurons: what other samples of as many neurons would have given.
///
/// # Errors
/// Returns an error if [`vectors`] or [`compare`] does, or if the settings have no halves.
pub fn interval_over_neurons(
    measure: Measure,
    ids: &[ImageId],
    values: ArrayView2<f32>,
    weights: &[f32],
    reference: &SimilarityMatrix,
    how: HalfSamples,
) -> Result<Estimate> {
    let of = |weights: &[f32]| {
        compare(measure, &vectors(ids, values, weights, "half of the neurons")?, reference)
    };
    estimate(of(weights)?, weights.len(), how, |drawn| {
        let mut kept = vec![0.0; weights.len()];
        drawn.iter().for_each(|neuron| kept[*neuron] = weights[*neuron]);
        of(&kept)
    })
}

/// The agreement between `reference` and the mean of `scans` (matrices of the same images), with
/// its interval over scans. Few scans give little information: two scans have two halves.
///
/// # Errors
/// Returns an error if there are fewer than two scans, if [`average`] or [`compare`] fails, or if
/// the settings have no halves.
pub fn interval_over_scans(
    measure: Measure,
    scans: &[&SimilarityMatrix],
    reference: &SimilarityMatrix,
    how: HalfSamples,
) -> Result<Estimate> {
    if scans.len() < 2 {
        return Err(Error::Size {
            what: "scans to draw halves of",
            expected: "at least 2".into(),
            found: scans.len().to_string(),
        });
    }
    let value = compare(measure, &average(scans)?, reference)?;
    estimate(value, scans.len(), how, |drawn| {
        let half: Vec<&SimilarityMatrix> = drawn.iter().map(|scan| scans[*scan]).collect();
        compare(measure, &average(&half)?, reference)
    })
}

/// `value` is the agreement of all `items`; `of` computes it for sorted items.
fn estimate(
    value: f64,
    items: usize,
    how: HalfSamples,
    of: impl Fn(&[usize]) -> Result<f64> + Sync,
) -> Result<Estimate> {
    if how.count < 2 || !(0.0..1.0).contains(&how.level) {
        return Err(Error::Size {
            what: "number of halves and level of an interval",
            expected: "at least 2, and a level from 0 to below 1".into(),
            found: format!("{} and {}", how.count, how.level),
        });
    }
    let half = items / 2;
    let mut values: Vec<f64> = (0..how.count)
        .into_par_iter()
        .map(|index| {
            let mut generator = ChaCha8Rng::seed_from_u64(how.seed);
            generator.set_stream(index as u64);
            match of(&drawn(items, half, &mut generator)) {
                // Halves for which the agreement is undefined are skipped.
                Err(
                    Error::Constant { .. }
                    | Error::Size { .. }
                    | Error::NoNeurons { .. }
                    | Error::ZeroVector { .. },
                ) => Ok(None),
                other => other.map(|value| value.is_finite().then_some(value)),
            }
        })
        .collect::<Result<Vec<Option<f64>>>>()?
        .into_iter()
        .flatten()
        .collect();
    if 2 * values.len() < how.count {
        return Ok(Estimate { value, interval: None });
    }
    // An odd number of items has no exact half, so the parts vary too much; this corrects for it.
    let scale = (half as f64 / (items - half) as f64).sqrt();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    values.sort_unstable_by(f64::total_cmp);
    let percentile = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        values[below] + part * (values[(below + 1).min(values.len() - 1)] - values[below])
    };
    let outside = (1.0 - how.level) / 2.0;
    let from_median =
        |share: f64| (value + scale * (percentile(share) - percentile(0.5))).clamp(-1.0, 1.0);
    let interval = Interval {
        low: from_median(outside),
        high: from_median(1.0 - outside),
        standard_error: scale * (squares / (values.len() - 1) as f64).sqrt(),
    };
    Ok(Estimate { value, interval: Some(interval) })
}

/// Draws `count` of `items`, in ascending order, each subset with equal probability.
fn drawn(items: usize, count: usize, generator: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items).collect();
    for place in 0..count {
        order.swap(place, generator.random_range(place..items));
    }
    order.truncate(count);
    order.sort_unstable();
    order
}
