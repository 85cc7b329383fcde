//! Agreement of two matrices and the spread of one, over the strict upper triangle.

mod agreement;
mod ceiling;
mod intervals;
mod kernels;
mod numbers;
mod ranks;

pub(crate) use agreement::where_defined;
pub use agreement::{Agreement, agreement, mean_agreement};
pub use ceiling::{NoiseCeiling, RepeatReliability, noise_ceiling, repeat_reliability};
pub use intervals::{
    Estimate, HalfSamples, Interval, interval_over_images, interval_over_images_of_mean, interval_over_neurons,
    interval_over_scans,
};

use crate::{Error, Result, SimilarityMatrix};
use numbers::{correlation, cosine, moments, sum};
use rayon::prelude::*;
use std::borrow::Cow;

/// How the agreement of two matrices is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Pearson's correlation over pairs.
    Pearson,
    /// Spearman's: Pearson's of the ranks, ties sharing theirs.
    Spearman,
    /// Kendall's tau-a: concordant less discordant over all pairs of pairs, ties counting as neither.
    KendallTauA,
    /// Cosine of the dissimilarities 1 - S, as in rsatoolbox: where their zero lies matters here.
    Cosine,
    /// Cosine of the dissimilarities 1 - S, whitened by how they vary together when patterns carry independent noise
    /// (Diedrichsen et al. 2020); equal to centred kernel alignment of the similarities, with its bias.
    WhitenedCosine,
    /// Centred kernel alignment of the similarities, debiased (Song et al. 2012): 0 in the mean for unrelated matrices.
    DebiasedCka,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pearson, Self::Spearman, Self::KendallTauA, Self::Cosine, Self::WhitenedCosine, Self::DebiasedCka];

    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pearson => "Pearson",
            Self::Spearman => "Spearman",
            Self::KendallTauA => "Kendall tau-a",
            Self::Cosine => "cosine",
            Self::WhitenedCosine => "whitened cosine",
            Self::DebiasedCka => "CKA, debiased",
        }
    }

    /// What the measure is of.
    fn values(self, packed: &[f32]) -> Vec<f64> {
        let dissimilarity = matches!(self, Self::Cosine | Self::WhitenedCosine);
        packed.par_iter().map(|value| if dissimilarity { 1.0 - f64::from(*value) } else { f64::from(*value) }).collect()
    }

    /// Of values as [`Measure::values`] gives them.
    fn of(self, first: &[f64], second: &[f64], images: usize) -> Result<f64> {
        self.of_part(first, second, images, images)
    }

    /// What the values of `images` of `all` images say that the measure is for all.
    fn of_part(self, first: &[f64], second: &[f64], images: usize, all: usize) -> Result<f64> {
        match self {
            Self::Pearson => correlation(first, second),
            Self::Spearman => ranks::spearman(first, second),
            Self::KendallTauA => ranks::kendall_tau_a(first, second),
            Self::Cosine => cosine(first, second),
            Self::WhitenedCosine => kernels::whitened(first, second, images, all),
            Self::DebiasedCka => kernels::debiased_cka(first, second, images),
        }
    }
}

/// Agreement of two matrices of the same images (in any order).
///
/// # Errors
/// An image that only one of them has; a matrix without variation, where the measure needs one; for
/// [`Measure::DebiasedCka`] fewer than four images.
pub fn compare(measure: Measure, first: &SimilarityMatrix, second: &SimilarityMatrix) -> Result<f64> {
    let second = matched(first, second)?;
    // Without a copy in f64 for the measure that is asked for most, and of the largest matrices.
    if measure == Measure::Pearson {
        return correlation(first.packed(), second.packed());
    }
    measure.of(&measure.values(first.packed()), &measure.values(second.packed()), first.len())
}

/// Pearson correlation of two matrices of the same images (in any order).
///
/// # Errors
/// As [`compare`].
pub fn pearson(first: &SimilarityMatrix, second: &SimilarityMatrix) -> Result<f64> {
    compare(Measure::Pearson, first, second)
}

/// Spearman correlation of two matrices of the same images (in any order): Pearson's of the ranks, ties sharing theirs.
///
/// # Errors
/// As [`compare`].
pub fn spearman(first: &SimilarityMatrix, second: &SimilarityMatrix) -> Result<f64> {
    compare(Measure::Spearman, first, second)
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
