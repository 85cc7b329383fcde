//! How far two matrices agree in order and in size.

use super::numbers::moments;
use super::{HalfSamples, Interval, Measure, compare, interval_over_images_of_mean};
use crate::{Error, Result, SimilarityMatrix};

/// How far similarities agree with a reference over the pairs of images. A correlation alone does not see that all
/// similarities are too large or too small, which a regularizer that follows their values does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Pearson's correlation.
    pub correlation: f64,
    /// Of the correlation, over images; `None` where it was not asked for, or where there are too few images to tell.
    pub interval: Option<Interval>,
    /// Of the least-squares line of the similarities on the reference: what one unit of the reference becomes. It is the
    /// correlation times `spread_ratio`, so that noise in the reference lowers it.
    pub slope: f64,
    /// Standard deviation of the similarities over that of the reference.
    pub spread_ratio: f64,
}

/// Agreement of `similarities` with `reference`, matrices of the same images (in any order), without an interval.
///
/// # Errors
/// As [`compare`] with Pearson's correlation.
pub fn agreement(similarities: &SimilarityMatrix, reference: &SimilarityMatrix) -> Result<Agreement> {
    let deviation = |matrix: &SimilarityMatrix| moments(matrix.packed()).1.sqrt();
    let correlation = compare(Measure::Pearson, similarities, reference)?;
    let spread_ratio = deviation(similarities) / deviation(reference);
    Ok(Agreement { correlation, interval: None, slope: correlation * spread_ratio, spread_ratio })
}

/// The mean agreement of several pairs of matrices of the same images, the second of each being the reference, as of the repeats
/// of one scan, with the interval of its correlation over images.
///
/// # Errors
/// As [`agreement`]; no pair of matrices; settings without halves.
pub fn mean_agreement(compared: &[(&SimilarityMatrix, &SimilarityMatrix)], how: HalfSamples) -> Result<Agreement> {
    let correlation = interval_over_images_of_mean(Measure::Pearson, compared, how)?;
    let found =
        compared.iter().map(|(similarities, reference)| agreement(similarities, reference)).collect::<Result<Vec<_>>>()?;
    let mean = |of: fn(&Agreement) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
    Ok(Agreement {
        correlation: correlation.value,
        interval: correlation.interval,
        slope: mean(|found| found.slope),
        spread_ratio: mean(|found| found.spread_ratio),
    })
}

/// `None` where similarities do not vary, as those of two images do not: there is then no correlation.
pub(crate) fn where_defined<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Error::Constant { .. }) => Ok(None),
        other => other.map(Some),
    }
}
