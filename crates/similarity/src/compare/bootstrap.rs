//! Intervals of an agreement by resampling images, neurons or scans.

use super::{Measure, compare, matched};
use crate::matrix::row_start;
use crate::{Error, Result, SimilarityMatrix, average_weighted, vectors};
use brainprior_images::ImageId;
use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// How resamples are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples.
    pub resamples: usize,
    /// Share of the resamples within the interval.
    pub level: f64,
    /// Resample k draws from a stream of its own, so that the number of threads changes nothing.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1000, level: 0.95, seed: 0 }
    }
}

/// An agreement, and how far it spreads over resamples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Of the sample as it is.
    pub value: f64,
    /// Percentile of the resamples, half of what the level leaves below.
    pub low: f64,
    /// Percentile of the resamples, half of what the level leaves above.
    pub high: f64,
    /// Standard deviation of the resamples (ddof 1).
    pub standard_error: f64,
}

/// Interval of the agreement of two matrices, images being resampled with replacement, the same in both.
///
/// An image that is drawn twice makes a pair with itself, whose similarity is 1 whatever the model says. These pairs are left
/// out, as in rsatoolbox: without this correction every model would seem to agree better, and by the more the fewer images
/// there are. What is left are the pairs of distinct images, each as often as it was drawn. [`Measure::WhitenedCosine`] and
/// [`Measure::DebiasedCka`] need whole matrices, and take each drawn image once; that is about 63% of the images, so that their
/// intervals are somewhat too wide.
///
/// # Errors
/// As [`compare`]; no resamples.
pub fn bootstrap_images(
    measure: Measure,
    first: &SimilarityMatrix,
    second: &SimilarityMatrix,
    how: Bootstrap,
) -> Result<Interval> {
    bootstrap_images_of_mean(measure, &[first], second, how)
}

/// As [`bootstrap_images`], of the mean agreement of several matrices of the same images, as of the repeats of one scan.
///
/// # Errors
/// As [`bootstrap_images`]; no matrix.
pub fn bootstrap_images_of_mean(
    measure: Measure,
    firsts: &[&SimilarityMatrix],
    second: &SimilarityMatrix,
    how: Bootstrap,
) -> Result<Interval> {
    if firsts.is_empty() {
        return Err(Error::Size { what: "matrices to compare", expected: "at least 1".into(), found: "none".into() });
    }
    let images = second.len();
    let values = firsts.iter().map(|first| Ok(measure.values(matched(second, first)?.packed()))).collect::<Result<Vec<_>>>()?;
    let reference = measure.values(second.packed());
    let mean = |of: &dyn Fn(&[f64]) -> Result<f64>| -> Result<f64> {
        Ok(values.iter().map(|values| of(values)).sum::<Result<f64>>()? / values.len() as f64)
    };
    let value = mean(&|values| measure.of(values, &reference, images))?;
    interval(value, how, |generator| {
        let mut drawn: Vec<usize> = (0..images).map(|_| generator.random_range(0..images)).collect();
        drawn.sort_unstable();
        if measure.needs_whole_matrices() {
            drawn.dedup();
        }
        let place = |i: usize, j: usize| row_start(images, i) + j - i - 1;
        let mut pairs = Vec::with_capacity(drawn.len() * drawn.len() / 2);
        for (position, i) in drawn.iter().enumerate() {
            pairs.extend(drawn[position + 1..].iter().filter(|j| *j != i).map(|j| place(*i, *j)));
        }
        let gathered = |values: &[f64]| -> Vec<f64> { pairs.iter().map(|pair| values[*pair]).collect() };
        let reference = gathered(&reference);
        mean(&|values| measure.of(&gathered(values), &reference, drawn.len()))
    })
}

/// Interval of the agreement with `reference` of the matrix of `values` (as of [`vectors`]), neurons being resampled with
/// replacement: one that is drawn k times counts as k equal neurons. A resample holds fewer distinct neurons than the
/// sample and averages less noise away, so that where neurons are few the interval lies low, at times below the value itself; the
/// standard error is that of other neurons.
///
/// # Errors
/// As [`vectors`] and [`compare`]; no resamples.
pub fn bootstrap_neurons(
    measure: Measure,
    ids: &[ImageId],
    values: ArrayView2<f32>,
    weights: &[f32],
    reference: &SimilarityMatrix,
    how: Bootstrap,
) -> Result<Interval> {
    let of = |weights: &[f32]| compare(measure, &vectors(ids, values, weights, "resampled neurons")?, reference);
    interval(of(weights)?, how, |generator| {
        let mut counts = vec![0u32; weights.len()];
        for _ in 0..weights.len() {
            counts[generator.random_range(0..weights.len())] += 1;
        }
        let resampled: Vec<f32> = weights.iter().zip(&counts).map(|(weight, count)| weight * (*count as f32).sqrt()).collect();
        of(&resampled)
    })
}

/// Interval of the agreement with `reference` of the mean of `scans` (matrices of the same images), scans being resampled with
/// replacement. With few scans it says little: of two scans there are three samples.
///
/// # Errors
/// Fewer than two scans; as [`crate::average`] and [`compare`]; no resamples.
pub fn bootstrap_scans(
    measure: Measure,
    scans: &[&SimilarityMatrix],
    reference: &SimilarityMatrix,
    how: Bootstrap,
) -> Result<Interval> {
    if scans.len() < 2 {
        return Err(Error::Size { what: "scans to resample", expected: "at least 2".into(), found: scans.len().to_string() });
    }
    let of = |counts: &[u32]| {
        let chosen: Vec<(&SimilarityMatrix, u32)> =
            scans.iter().copied().zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect();
        compare(measure, &average_weighted(&chosen)?, reference)
    };
    interval(of(&vec![1; scans.len()])?, how, |generator| {
        let mut counts = vec![0u32; scans.len()];
        for _ in 0..scans.len() {
            counts[generator.random_range(0..scans.len())] += 1;
        }
        of(&counts)
    })
}

fn interval(value: f64, how: Bootstrap, resample: impl Fn(&mut ChaCha8Rng) -> Result<f64> + Sync) -> Result<Interval> {
    if how.resamples < 2 || !(0.0..1.0).contains(&how.level) {
        return Err(Error::Size {
            what: "resamples and level of a bootstrap",
            expected: "at least 2, and a level from 0 to below 1".into(),
            found: format!("{} and {}", how.resamples, how.level),
        });
    }
    let mut values: Vec<f64> = (0..how.resamples)
        .into_par_iter()
        .map(|index| {
            let mut generator = ChaCha8Rng::seed_from_u64(how.seed);
            generator.set_stream(index as u64);
            match resample(&mut generator) {
                // Of very few images a resample may be so poor that it has no agreement; it says nothing.
                Err(Error::Constant { .. } | Error::Size { .. }) => Ok(None),
                other => other.map(|value| value.is_finite().then_some(value)),
            }
        })
        .collect::<Result<Vec<Option<f64>>>>()?
        .into_iter()
        .flatten()
        .collect();
    if 2 * values.len() < how.resamples {
        return Err(Error::Size {
            what: "resamples that have an agreement",
            expected: format!("at least half of {}", how.resamples),
            found: values.len().to_string(),
        });
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    values.sort_unstable_by(f64::total_cmp);
    let percentile = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        values[below] + part * (values[(below + 1).min(values.len() - 1)] - values[below])
    };
    let outside = (1.0 - how.level) / 2.0;
    Ok(Interval {
        value,
        low: percentile(outside),
        high: percentile(1.0 - outside),
        standard_error: (squares / (values.len() - 1) as f64).sqrt(),
    })
}
