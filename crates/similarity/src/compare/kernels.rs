//! Agreement of matrices as centered kernels.

use super::numbers::{Number, product};
use crate::matrix::row_start;
use crate::{Error, Result};
use rayon::prelude::*;

/// Cosine of the doubly centered matrices whose diagonal was 0. For dissimilarities this is
/// rsatoolbox's whitened cosine (`cosine_cov` without a covariance of conditions; Diedrichsen et
/// al. 2020), which accounts for the shared noise of dissimilarities with a common image.
///
/// The diagonal causes a bias, which is larger for fewer images. If the matrices cover some of
/// `all` images, this estimates the value for all: each of its three sums over distinct images is
/// scaled to that number.
///
/// # Errors
/// Returns an error if a centered matrix is zero, or if there are fewer than four images and they
/// are not all.
pub(super) fn whitened<T: Number>(
    first: &[T],
    second: &[T],
    images: usize,
    all: usize,
) -> Result<f64> {
    if images == all {
        return normalised(first, second, images, &|product, sums| centered(product, &sums, all));
    }
    enough(images, "images of a part of a whitened cosine")?;
    let orders =
        |n: f64| [n * (n - 1.0), n * (n - 1.0) * (n - 2.0), n * (n - 1.0) * (n - 2.0) * (n - 3.0)];
    let (part, whole) = (orders(images as f64), orders(all as f64));
    let share = [whole[0] / part[0], whole[1] / part[1], whole[2] / part[2]];
    normalised(first, second, images, &|product, sums| {
        // Sums of a_ij b_ij, of a_ij b_ik and of a_ij b_kl, where letters are distinct images.
        let pairs = 2.0 * product;
        let (triples, quadruples) =
            (sums.rows - pairs, sums.totals - 4.0 * sums.rows + 2.0 * pairs);
        let (pairs, triples, quadruples) =
            (pairs * share[0], triples * share[1], quadruples * share[2]);
        let rows = triples + pairs;
        centered(pairs / 2.0, &Sums { rows, totals: quadruples + 4.0 * rows - 2.0 * pairs }, all)
    })
}

fn centered(product: f64, sums: &Sums, images: usize) -> f64 {
    let n = images as f64;
    2.0 * product - 2.0 / n * sums.rows + sums.totals / (n * n)
}

fn enough(images: usize, what: &'static str) -> Result<()> {
    if images < 4 {
        return Err(Error::Size { what, expected: "at least 4".into(), found: images.to_string() });
    }
    Ok(())
}

/// Centered kernel alignment with unbiased estimates of the Hilbert-Schmidt independence criterion
/// (Song et al., JMLR 2012; debiased CKA in Nguyen et al., ICLR 2021): unrelated matrices of any
/// size have mean 0.
pub(super) fn debiased_cka<T: Number>(first: &[T], second: &[T], images: usize) -> Result<f64> {
    enough(images, "images of a debiased alignment")?;
    normalised(first, second, images, &|product, sums| {
        let n = images as f64;
        (2.0 * product + sums.totals / ((n - 1.0) * (n - 2.0)) - 2.0 / (n - 2.0) * sums.rows)
            / (n * (n - 3.0))
    })
}

/// Sums over two symmetric matrices with zero diagonal.
struct Sums {
    /// Sum over images of the product of the two row sums.
    rows: f64,
    /// Product of the two total sums.
    totals: f64,
}

fn normalised<T: Number>(
    first: &[T],
    second: &[T],
    images: usize,
    inner: &dyn Fn(f64, Sums) -> f64,
) -> Result<f64> {
    let (rows_a, rows_b) = (row_sums(first, images), row_sums(second, images));
    let of = |a: &[T], b: &[T], rows_a: &[f64], rows_b: &[f64]| {
        let rows = rows_a.iter().zip(rows_b).map(|(a, b)| a * b).sum();
        inner(
            product(a, b),
            Sums { rows, totals: rows_a.iter().sum::<f64>() * rows_b.iter().sum::<f64>() },
        )
    };
    let (own_a, own_b) = (of(first, first, &rows_a, &rows_a), of(second, second, &rows_b, &rows_b));
    for (which, values, own) in [("first", first, own_a), ("second", second, own_b)] {
        // Rounding errors of a matrix that is zero after centering.
        if own <= product(values, values) * 1e-12 {
            return Err(Error::Constant { which, pairs: first.len() });
        }
    }
    Ok((of(first, second, &rows_a, &rows_b) / (own_a * own_b).sqrt()).clamp(-1.0, 1.0))
}

/// Row sums of the symmetric matrix.
fn row_sums<T: Number>(packed: &[T], images: usize) -> Vec<f64> {
    (0..images)
        .into_par_iter()
        .map(|i| {
            let above: f64 = (0..i).map(|j| packed[row_start(images, j) + i - j - 1].into()).sum();
            let start = row_start(images, i);
            above
                + packed[start..start + images - 1 - i]
                    .iter()
                    .map(|value| (*value).into())
                    .sum::<f64>()
        })
        .collect()
}
