//! How well two matrices agree in order and in size.

use super::numbers::moments;
use super::{HalfSamples, Interval, Measure, compare, interval_over_images_of_mean};
use crate::{Error, Result, SimilarityMatrix};

/// Agreement of similarities with a reference over pairs of images. A correlation alone does not
/// reveal that all similarities are too large or too small, but a regularizer that follows their
/// values is affected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Pearson's correlation.
    pub correlation: f64,
    /// Interval of the correlation over images; `None` if it was not requested or there are too few
    /// images.
    pub interval: Option<Interval>,
    /// Slope of the least-squares line of the similarities on the reference. It equals the
    /// correlation times `spread_ratio`, so noise in the reference decreases it.
    pub slope: f64,
    /// Standard deviation of the similarities divided by that of the reference.
    pub spread_ratio: f64,
}

/// Agreement of `similarities` with `reference`, for the same images (in any order), without an
/// interval.
///
/// # Errors
/// Returns an error if [`compare`] with Pearson's correlation does.
pub fn agreement(
    similarities: &SimilarityMatrix,
    reference: &SimilarityMatrix,
) -> Result<Agreement> {
    let deviation = |matrix: &SimilarityMatrix| moments(matrix.packed()).1.sqrt();
    let correlation = compare(Measure::Pearson, similarities, reference)?;
    let spread_ratio = deviation(similarities) / deviation(reference);
    Ok(Agreement { correlation, interval: None, slope: correlation * spread_ratio, spread_ratio })
}

/// The mean agreement of several pairs of matrices of the same images, such as the repeats of a
/// scan, with an interval of the correlation over images. The second matrix of each pair is the
/// reference.
///
/// # Errors
/// Returns an error if [`agreement`] does, if there are no matrices, or if the settings have no
/// halves.
pub fn mean_agreement(
    compared: &[(&SimilarityMatrix, &SimilarityMatrix)],
    how: HalfSamples,
) -> Result<Agreement> {
    let correlation = interval_over_images_of_mean(Measure::Pearson, compared, how)?;
    let found = compared
        .iter()
        .map(|(similarities, reference)| agreement(similarities, reference))
        .collect::<Result<Vec<_>>>()?;
    let mean = |of: fn(&Agreement) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
    Ok(Agreement {
        correlation: correlation.value,
        interval: correlation.interval,
        slope: mean(|found| found.slope),
        spread_ratio: mean(|found| found.spread_ratio),
    })
}

/// Returns `None` if similarities do not vary, as with two images, so that the correlation is
/// undefined.
pub(crate) fn where_defined<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Error::Constant { .. }) => Ok(None),
        other => other.map(Some),
    }
}
