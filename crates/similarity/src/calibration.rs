//! Calibrates the size of predicted similarities.
//!
//! Model predictions lie in fewer dimensions than neural responses, so their cosines are too large.
//! The cosines of the expected responses given the predictions are smaller: the expected product of
//! two images' vectors is that of the predictions, but the squared lengths are larger by the
//! unexplained variance. That is one number per scan, chosen so that the similarities of the
//! repeated images have the same spread as noise-free ones.

use crate::compare::where_defined;
use crate::{Error, Result, SimilarityMatrix, halves, similarity, spread};
use brainprior_recording::{Responses, Scan};

/// Splits of the repeats over which the spread of noise-free similarities is averaged.
const SPLITS: u64 = 20;
/// Bisection steps in the search for the unexplained variance.
const BISECTIONS: usize = 40;
/// Upper bound of the unexplained variance, relative to the mean squared length of the predictions.
const MOST: f64 = 100.0;

/// Estimates the standard deviation over pairs of the noise-free similarities of a scan's repeated
/// images, with weighted neurons.
///
/// It is the geometric mean of two estimates. The spread of repeat-average similarities is too
/// small, because noise lengthens every vector (in simulated scans, 0.81 to 0.90 of the truth). The
/// square root of the covariance between the similarities of two halves, divided by the signal
/// fraction of squared length in a half, is too large, because images with strong responses have
/// more of both (1.04 to 1.14). The geometric mean is within 10%. Returns `None` if the halves do
/// not agree at all or similarities do not vary.
///
/// # Errors
/// Returns an error if [`similarity`] does.
pub fn noise_free_spread(scan: &Scan, weights: &[f32]) -> Result<Option<f64>> {
    let means = scan.repeat_means();
    if means.ids().len() < 3 {
        return Ok(None);
    }
    let measured = spread(&similarity(&means, weights)?).standard_deviation;
    let counts: Vec<usize> = scan.repeats().values().map(|trials| trials.len() / 2).collect();
    let mut corrected = 0.0;
    for seed in 0..SPLITS {
        let (first, second) = halves(scan, seed)?;
        let (a, b) = (similarity(&first, weights)?, similarity(&second, weights)?);
        let Some(correlation) = where_defined(crate::pearson(&a, &b))? else { return Ok(None) };
        let covariance =
            correlation * spread(&a).standard_deviation * spread(&b).standard_deviation;
        let noise: f64 = noise_of_halves(&first, &second, weights);
        let length = (mean_square(&first, weights) + mean_square(&second, weights)) / 2.0;
        let signal = 1.0 - noise / length;
        if covariance <= 0.0 || signal <= 0.0 || counts.is_empty() {
            return Ok(None);
        }
        corrected += covariance.sqrt() / signal / SPLITS as f64;
    }
    Ok(Some((measured * corrected).sqrt()))
}

/// The squared length to add to every image's vector so that the similarities of `predicted` have
/// the spread `wanted`; 0 if their spread is smaller already.
///
/// # Errors
/// Returns an error if [`similarity`] does.
pub fn unexplained(predicted: &Responses, weights: &[f32], wanted: f64) -> Result<f64> {
    let matrix = similarity(predicted, weights)?;
    let squares = squares(predicted, weights);
    let deviation = |added: f64| spread(&damped(&matrix, &squares, added)).standard_deviation;
    let (mut low, mut high) = (0.0, MOST * squares.iter().sum::<f64>() / squares.len() as f64);
    if deviation(low) <= wanted {
        return Ok(0.0);
    }
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if deviation(middle) > wanted { low = middle } else { high = middle }
    }
    Ok(low)
}

/// Similarities of `predicted`, with `unexplained` added to the squared length of every image's
/// vector.
///
/// # Errors
/// Returns an error if [`similarity`] does.
pub fn calibrated_similarity(
    predicted: &Responses,
    weights: &[f32],
    unexplained: f64,
) -> Result<SimilarityMatrix> {
    let matrix = similarity(predicted, weights)?;
    if unexplained == 0.0 {
        return Ok(matrix);
    }
    let step =
        format!("squared lengths larger by {unexplained:.4}, which the model does not explain");
    Ok(damped(&matrix, &squares(predicted, weights), unexplained).with_provenance(step))
}

/// Scales each similarity for vectors whose squared lengths grow by `added`.
fn damped(matrix: &SimilarityMatrix, squares: &[f64], added: f64) -> SimilarityMatrix {
    let factors: Vec<f64> =
        squares.iter().map(|square| (square / (square + added)).sqrt()).collect();
    let mut packed = Vec::with_capacity(matrix.pairs());
    for i in 0..matrix.len() {
        let right = matrix.upper_row(i).iter().zip(&factors[i + 1..]);
        packed
            .extend(right.map(|(value, factor)| (f64::from(*value) * factors[i] * factor) as f32));
    }
    SimilarityMatrix::of_cosines(matrix.ids().to_vec(), packed, matrix.provenance().to_vec())
}

/// Squared length of each image's weighted vector, centered over images.
fn squares(responses: &Responses, weights: &[f32]) -> Vec<f64> {
    let values = responses.values();
    let means: Vec<f64> = values
        .columns()
        .into_iter()
        .map(|column| column.iter().map(|v| f64::from(*v)).sum::<f64>() / values.nrows() as f64)
        .collect();
    let square = |row: ndarray::ArrayView1<f32>| -> f64 {
        row.iter()
            .zip(&means)
            .zip(weights)
            .map(|((v, mean), w)| ((f64::from(*v) - mean) * f64::from(*w)).powi(2))
            .sum()
    };
    values.rows().into_iter().map(square).collect()
}

fn mean_square(responses: &Responses, weights: &[f32]) -> f64 {
    let squares = squares(responses, weights);
    squares.iter().sum::<f64>() / squares.len() as f64
}

/// Mean squared length of the noise in one half: half that of their difference, which contains the
/// noise of both.
fn noise_of_halves(first: &Responses, second: &Responses, weights: &[f32]) -> f64 {
    let difference = first.values() - second.values();
    let square = |row: ndarray::ArrayView1<f32>| -> f64 {
        row.iter().zip(weights).map(|(v, w)| (f64::from(*v) * f64::from(*w)).powi(2)).sum()
    };
    difference.rows().into_iter().map(square).sum::<f64>() / difference.nrows() as f64 / 2.0
}

/// The mean over scans of their [`calibrated_similarity`] matrices, for the same images.
///
/// # Errors
/// Returns an error if the responses are to different images or if [`similarity`] fails.
pub fn calibrated_over_scans(scans: &[(&Responses, &[f32], f64)]) -> Result<SimilarityMatrix> {
    let matrices = scans
        .iter()
        .map(|(responses, weights, unexplained)| {
            calibrated_similarity(responses, weights, *unexplained)
        })
        .collect::<Result<Vec<_>>>()?;
    match &matrices[..] {
        [] => Err(Error::Size {
            what: "scans of a target",
            expected: "at least 1".into(),
            found: "none".into(),
        }),
        [one] => Ok(one.clone()),
        more => crate::average(&more.iter().collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_images::ImageId;
    use brainprior_recording::{Fitting, ResponseKind};
    use ndarray::Array2;

    fn predicted() -> Responses {
        let values =
            Array2::from_shape_fn((12, 4), |(i, n)| ((i * (n + 3) * 5 + n) % 11) as f32 - 4.0);
        let ids = (0..12).map(ImageId::from_u64).collect();
        Responses::new("small", ResponseKind::Predicted(Fitting::InSample), ids, values).unwrap()
    }

    #[test]
    fn similarities_spread_as_wanted_where_they_spread_more_by_themselves() {
        let (predicted, weights) = (predicted(), [1.0, 0.5, 2.0, 1.0]);
        let alone = spread(&similarity(&predicted, &weights).unwrap()).standard_deviation;
        for share in [0.2, 0.5, 0.9] {
            let added = unexplained(&predicted, &weights, share * alone).unwrap();
            let found = spread(&calibrated_similarity(&predicted, &weights, added).unwrap())
                .standard_deviation;
            assert!((found / alone - share).abs() < 1e-4, "{found}, wanted {share} of {alone}");
        }
        assert_eq!(unexplained(&predicted, &weights, 1.1 * alone).unwrap(), 0.0);
    }

    #[test]
    fn a_dimension_of_its_own_for_each_image_is_what_is_added() {
        // By definition: cosines of vectors that each have one additional dimension of their own.
        let (predicted, added) = (predicted(), 7.0f64);
        let found = calibrated_similarity(&predicted, &[1.0; 4], added).unwrap();
        let means = predicted.values().mean_axis(ndarray::Axis(0)).unwrap();
        let rows = predicted.values() - &means;
        for (i, a) in rows.rows().into_iter().enumerate() {
            for (j, b) in rows.rows().into_iter().enumerate().skip(i + 1) {
                let length =
                    |row: ndarray::ArrayView1<f32>| (f64::from(row.dot(&row)) + added).sqrt();
                let expected = f64::from(a.dot(&b)) / length(a) / length(b);
                assert!((f64::from(found.get(i, j)) - expected).abs() < 1e-5, "{i} {j}");
            }
        }
    }
}
