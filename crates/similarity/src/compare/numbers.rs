//! Sums over many values in an order that does not depend on the number of threads.

use crate::{Error, Result};
use rayon::prelude::*;

/// Values per partial sum.
const CHUNK: usize = 1 << 16;

pub(super) trait Number: Copy + Sync + Into<f64> {}
impl<T: Copy + Sync + Into<f64>> Number for T {}

pub(super) fn sum<T: Number>(values: &[T], term: impl Fn(f64) -> f64 + Sync) -> f64 {
    let parts: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|part| part.iter().map(|value| term((*value).into())).sum())
        .collect();
    parts.iter().sum()
}

pub(super) fn moments<T: Number>(values: &[T]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = sum(values, |value| value) / count;
    (mean, sum(values, |value| (value - mean) * (value - mean)) / count)
}

pub(super) fn correlation<T: Number>(first: &[T], second: &[T]) -> Result<f64> {
    let ((mean_a, variance_a), (mean_b, variance_b)) = (moments(first), moments(second));
    for (which, mean, variance) in [("first", mean_a, variance_a), ("second", mean_b, variance_b)] {
        if variance.sqrt() <= mean.abs() * f64::EPSILON {
            return Err(Error::Constant { which, pairs: first.len() });
        }
    }
    let parts: Vec<f64> = first
        .par_chunks(CHUNK)
        .zip(second.par_chunks(CHUNK))
        .map(|(first, second)| {
            first
                .iter()
                .zip(second)
                .map(|(a, b)| ((*a).into() - mean_a) * ((*b).into() - mean_b))
                .sum()
        })
        .collect();
    let covariance = parts.iter().sum::<f64>() / first.len() as f64;
    Ok((covariance / (variance_a.sqrt() * variance_b.sqrt())).clamp(-1.0, 1.0))
}

/// Cosine of two vectors.
pub(super) fn cosine<T: Number>(first: &[T], second: &[T]) -> Result<f64> {
    let norms = (sum(first, |value| value * value) * sum(second, |value| value * value)).sqrt();
    if norms == 0.0 {
        let which = if sum(first, |value| value * value) == 0.0 { "first" } else { "second" };
        return Err(Error::Constant { which, pairs: first.len() });
    }
    Ok((product(first, second) / norms).clamp(-1.0, 1.0))
}

/// Sum of products.
pub(super) fn product<T: Number>(first: &[T], second: &[T]) -> f64 {
    let parts: Vec<f64> = first
        .par_chunks(CHUNK)
        .zip(second.par_chunks(CHUNK))
        .map(|(first, second)| {
            first.iter().zip(second).map(|(a, b)| (*a).into() * (*b).into()).sum()
        })
        .collect();
    parts.iter().sum()
}
