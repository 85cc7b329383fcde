//! Agreement of two matrices and the spread of one, over the strict upper triangle.

use crate::{Error, Result, SimilarityMatrix};
use rayon::prelude::*;
use std::borrow::Cow;

/// Pairs summed at once. Fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 16;

/// Pearson correlation of two matrices of the same images (in any order).
///
/// # Errors
/// An image that only one of them has; a matrix without variation.
pub fn pearson(first: &SimilarityMatrix, second: &SimilarityMatrix) -> Result<f64> {
    let second = matched(first, second)?;
    correlation(first.packed(), second.packed())
}

/// Spearman correlation of two matrices of the same images (in any order): Pearson's of the ranks, ties sharing theirs.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(first: &SimilarityMatrix, second: &SimilarityMatrix) -> Result<f64> {
    let second = matched(first, second)?;
    correlation(&ranks(first.packed()), &ranks(second.packed()))
}

/// How far the similarities of a matrix spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Mean similarity.
    pub mean: f64,
    /// Standard deviation over pairs (divided by their number).
    pub standard_deviation: f64,
    /// Smallest similarity.
    pub minimum: f32,
    /// Largest similarity.
    pub maximum: f32,
    /// Participation ratio (trace S)^2 / trace S^2: the number of dimensions that equal shares of variance would fill.
    pub participation_ratio: f64,
}

/// The spread of a matrix.
pub fn spread(matrix: &SimilarityMatrix) -> Spread {
    let packed = matrix.packed();
    let images = matrix.len() as f64;
    let (mean, variance) = moments(packed);
    let squares = sum(packed, |value| value * value);
    Spread {
        mean,
        standard_deviation: variance.sqrt(),
        minimum: packed.par_iter().copied().reduce(|| f32::INFINITY, f32::min),
        maximum: packed.par_iter().copied().reduce(|| f32::NEG_INFINITY, f32::max),
        participation_ratio: images * images / (images + 2.0 * squares),
    }
}

fn matched<'a>(first: &SimilarityMatrix, second: &'a SimilarityMatrix) -> Result<Cow<'a, SimilarityMatrix>> {
    if first.ids() == second.ids() {
        return Ok(Cow::Borrowed(second));
    }
    let name = |error, matrix| match error {
        Error::MissingImage { id, images, .. } => Error::MissingImage { id, images, matrix },
        other => other,
    };
    if first.len() < second.len() {
        first.select(second.ids()).map_err(|error| name(error, "the first matrix"))?;
    }
    second.select(first.ids()).map(Cow::Owned).map_err(|error| name(error, "the second matrix"))
}

trait Number: Copy + Sync + Into<f64> {}
impl<T: Copy + Sync + Into<f64>> Number for T {}

fn sum<T: Number>(values: &[T], term: impl Fn(f64) -> f64 + Sync) -> f64 {
    let parts: Vec<f64> = values.par_chunks(CHUNK).map(|part| part.iter().map(|value| term((*value).into())).sum()).collect();
    parts.iter().sum()
}

fn moments<T: Number>(values: &[T]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = sum(values, |value| value) / count;
    (mean, sum(values, |value| (value - mean) * (value - mean)) / count)
}

fn correlation<T: Number>(first: &[T], second: &[T]) -> Result<f64> {
    let ((mean_a, variance_a), (mean_b, variance_b)) = (moments(first), moments(second));
    for (which, mean, variance) in [("first", mean_a, variance_a), ("second", mean_b, variance_b)] {
        if variance.sqrt() <= mean.abs() * f64::EPSILON {
            return Err(Error::Constant { which, pairs: first.len() });
        }
    }
    let parts: Vec<f64> = first
        .par_chunks(CHUNK)
        .zip(second.par_chunks(CHUNK))
        .map(|(first, second)| first.iter().zip(second).map(|(a, b)| ((*a).into() - mean_a) * ((*b).into() - mean_b)).sum())
        .collect();
    let covariance = parts.iter().sum::<f64>() / first.len() as f64;
    Ok((covariance / (variance_a.sqrt() * variance_b.sqrt())).clamp(-1.0, 1.0))
}

/// Rank of each value, from 1; equal values share the mean of their ranks.
fn ranks(values: &[f32]) -> Vec<f64> {
    // Value and index in one number, so that sorting touches nothing else. Adding 0 makes -0 equal to 0.
    let mut order: Vec<u64> =
        values.par_iter().enumerate().map(|(index, value)| ordered_bits(value + 0.0) << 32 | index as u64).collect();
    assert!(u32::try_from(values.len()).is_ok(), "fewer than 2^32 pairs");
    order.par_sort_unstable();
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|a, b| a >> 32 == b >> 32) {
        let shared = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for entry in tied {
            ranks[(entry & 0xffff_ffff) as usize] = shared;
        }
        start += tied.len();
    }
    ranks
}

/// Bits that sort as the value does.
fn ordered_bits(value: f32) -> u64 {
    let bits = value.to_bits();
    u64::from(if value.is_sign_negative() { !bits } else { bits | 1 << 31 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_images::ImageId;

    fn matrix(ids: &[u64], packed: &[f32]) -> SimilarityMatrix {
        SimilarityMatrix::new(ids.iter().copied().map(ImageId::from_u64).collect(), packed.to_vec(), vec![]).unwrap()
    }

    #[test]
    fn correlations_of_known_values() {
        // By hand; the tied values of each share a rank.
        let a = matrix(&[1, 2, 3, 4], &[0.1, 0.4, 0.4, -0.2, 0.9, 0.3]);
        let b = matrix(&[1, 2, 3, 4], &[0.2, 0.1, 0.5, -0.1, 0.7, 0.7]);
        assert!((pearson(&a, &b).unwrap() - 0.7470821).abs() < 1e-6);
        assert!((spearman(&a, &b).unwrap() - 0.5882353).abs() < 1e-6);
        assert_eq!(ranks(&[0.5, -1.0, 0.5, 0.0, -0.0]), [4.5, 1.0, 4.5, 2.5, 2.5]);
    }

    #[test]
    fn images_are_matched_by_identity() {
        let a = matrix(&[1, 2, 3], &[0.1, 0.4, -0.2]);
        let reordered = matrix(&[3, 1, 2], &[0.4, -0.2, 0.1]);
        assert!((pearson(&a, &reordered).unwrap() - 1.0).abs() < 1e-12);
        let larger = matrix(&[1, 2, 3, 9], &[0.1, 0.4, 0.0, -0.2, 0.0, 0.0]);
        assert!(matches!(pearson(&a, &larger), Err(Error::MissingImage { matrix: "the first matrix", .. })));
        assert!(matches!(pearson(&larger, &a), Err(Error::MissingImage { matrix: "the second matrix", .. })));
        assert!(matches!(pearson(&a, &matrix(&[1, 2, 3], &[0.3; 3])), Err(Error::Constant { which: "second", .. })));
    }

    #[test]
    fn spread_of_known_matrices() {
        let identity = spread(&matrix(&[1, 2, 3, 4], &[0.0; 6]));
        assert_eq!((identity.mean, identity.standard_deviation, identity.participation_ratio), (0.0, 0.0, 4.0));
        let line = spread(&matrix(&[1, 2, 3], &[1.0, -1.0, -1.0]));
        assert_eq!((line.minimum, line.maximum, line.participation_ratio), (-1.0, 1.0, 1.0));
    }
}
