//! Agreement of two matrices, and the spread of one, over the strict upper triangle.

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
    Estimate, HalfSamples, Interval, interval_over_images, interval_over_images_of_mean,
    interval_over_neurons, interval_over_scans,
};

use crate::{Error, Result, SimilarityMatrix};
use numbers::{correlation, cosine, moments, sum};
use rayon::prelude::*;
use std::borrow::Cow;

/// A measure of the agreement of two matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Pearson's correlation over pairs.
    Pearson,
    /// Spearman's correlation: Pearson's of the ranks, where ties share their mean rank.
    Spearman,
    /// Kendall's tau-a: concordant minus discordant over all pairs of pairs; ties count as neither.
    KendallTauA,
    /// Cosine of the dissimilarities 1 - S, as in rsatoolbox; it depends on their zero point.
    Cosine,
    /// Cosine of the dissimilarities 1 - S, whitened by their covariance under independent noise in
    /// the patterns (Diedrichsen et al. 2020). Equal to the centered kernel alignment of the
    /// similarities, including its bias.
    WhitenedCosine,
    /// Debiased centered kernel alignment of the similarities (Song et al. 2012): unrelated
    /// matrices have mean 0.
    DebiasedCka,
}

impl Measure {
    /// All measures.
    pub const ALL: [Self; 6] = [
        Self::Pearson,
        Self::Spearman,
        Self::KendallTauA,
        Self::Cosine,
        Self::WhitenedCosine,
        Self::DebiasedCka,
    ];

    /// Its name in tables.
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

    /// The values to which the measure is applied.
    fn values(self, packed: &[f32]) -> Vec<f64> {
        let dissimilarity = matches!(self, Self::Cosine | Self::WhitenedCosine);
        packed
            .par_iter()
            .map(|value| if dissimilarity { 1.0 - f64::from(*value) } else { f64::from(*value) })
            .collect()
    }

    /// The measure of values from [`Measure::values`].
    fn of(self, first: &[f64], second: &[f64], images: usize) -> Result<f64> {
        self.of_part(first, second, images, images)
    }

    /// Estimates the measure for `all` images from the values of `images` of them.
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
/// Returns an error if an image is only in one of them, if a matrix does not vary and the measure
/// requires it, or, for [`Measure::DebiasedCka`], if there are fewer than four images.
pub fn compare(
    measure: Measure,
    first: &SimilarityMatrix,
    second: &SimilarityMatrix,
) -> Result<f64> {
    let second = matched(first, second)?;
    // Avoids a copy in f64 for the most frequent measure, which is also used on the largest
    // matrices.
    if measure == Measure::Pearson {
        return correlation(first.packed(), second.packed());
    }
    measure.of(&measure.values(first.packed()), &measure.values(second.packed()), first.len())
}

/// Pearson correlation of two matrices of the same images (in any order).
///
/// # Errors
/// See [`compare`].
pub fn pearson(first: &SimilarityMatrix, second: &SimilarityMatrix) -> Result<f64> {
    compare(Measure::Pearson, first, second)
}

/// Spearman correlation of two matrices of the same images (in any order): Pearson's of the ranks,
/// where ties share their mean rank.
///
/// # Errors
/// See [`compare`].
pub fn spearman(first: &SimilarityMatrix, second: &SimilarityMatrix) -> Result<f64> {
    compare(Measure::Spearman, first, second)
}

/// The distribution of a matrix's similarities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Mean similarity.
    pub mean: f64,
    /// Standard deviation over pairs (ddof 0).
    pub standard_deviation: f64,
    /// Smallest similarity.
    pub minimum: f32,
    /// Largest similarity.
    pub maximum: f32,
    /// Participation ratio (trace S)^2 / trace S^2: the effective number of dimensions.
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

fn matched<'a>(
    first: &SimilarityMatrix,
    second: &'a SimilarityMatrix,
) -> Result<Cow<'a, SimilarityMatrix>> {
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
        SimilarityMatrix::new(
            ids.iter().copied().map(ImageId::from_u64).collect(),
            packed.to_vec(),
            vec![],
        )
        .unwrap()
    }

    #[test]
    fn correlations_of_known_values() {
        // Computed by hand; the two tied values in each matrix share a rank.
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
        assert!(matches!(
            pearson(&a, &larger),
            Err(Error::MissingImage { matrix: "the first matrix", .. })
        ));
        assert!(matches!(
            pearson(&larger, &a),
            Err(Error::MissingImage { matrix: "the second matrix", .. })
        ));
        assert!(matches!(
            pearson(&a, &matrix(&[1, 2, 3], &[0.3; 3])),
            Err(Error::Constant { which: "second", .. })
        ));
    }

    #[test]
    fn spread_of_known_matrices() {
        let identity = spread(&matrix(&[1, 2, 3, 4], &[0.0; 6]));
        assert_eq!(
            (identity.mean, identity.standard_deviation, identity.participation_ratio),
            (0.0, 0.0, 4.0)
        );
        let line = spread(&matrix(&[1, 2, 3], &[1.0, -1.0, -1.0]));
        assert_eq!((line.minimum, line.maximum, line.participation_ratio), (-1.0, 1.0, 1.0));
    }
}
