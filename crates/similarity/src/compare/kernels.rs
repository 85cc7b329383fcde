//! Agreement of matrices as centred kernels.

use super::numbers::{Number, product};
use crate::matrix::row_start;
use crate::{Error, Result};
use rayon::prelude::*;

/// Cosine of the doubly centred matrices, the diagonal being 0 before: of dissimilarities it is rsatoolbox's whitened cosine
/// (`cosine_cov` without a covariance of conditions; Diedrichsen et al. 2020), which takes out that dissimilarities of one
/// image share its noise.
///
/// The diagonal biases it by the more the fewer images there are. Where the matrices are of some of `all` images, it is what
/// they say that it is for all: each of the three sums over distinct images that it is made of is brought to that number.
///
/// # Errors
/// A matrix that centring takes away; fewer than four images where they are not all.
pub(super) fn whitened<T: Number>(first: &[T], second: &[T], images: usize, all: usize) -> Result<f64> {
    if images == all {
        return normalised(first, second, images, &|product, sums| centered(product, &sums, all));
    }
    enough(images, "images of a part of a whitened cosine")?;
    let orders = |n: f64| [n * (n - 1.0), n * (n - 1.0) * (n - 2.0), n * (n - 1.0) * (n - 2.0) * (n - 3.0)];
    let (part, whole) = (orders(images as f64), orders(all as f64));
    let share = [whole[0] / part[0], whole[1] / part[1], whole[2] / part[2]];
    normalised(first, second, images, &|product, sums| {
        // Sums of a_ij b_ij, of a_ij b_ik and of a_ij b_kl, letters being distinct images.
        let pairs = 2.0 * product;
        let (triples, quadruples) = (sums.rows - pairs, sums.totals - 4.0 * sums.rows + 2.0 * pairs);
        let (pairs, triples, quadruples) = (pairs * share[0], triples * share[1], quadruples * share[2]);
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

/// Centred kernel alignment with unbiased estimates of the Hilbert-Schmidt independence criterion (Song et al., JMLR 2012; as
/// debiased CKA in Nguyen et al., ICLR 2021): 0 in the mean over unrelated matrices, whatever their size.
pub(super) fn debiased_cka<T: Number>(first: &[T], second: &[T], images: usize) -> Result<f64> {
    enough(images, "images of a debiased alignment")?;
    normalised(first, second, images, &|product, sums| {
        let n = images as f64;
        (2.0 * product + sums.totals / ((n - 1.0) * (n - 2.0)) - 2.0 / (n - 2.0) * sums.rows) / (n * (n - 3.0))
    })
}

/// Of two symmetric matrices with a diagonal of 0.
struct Sums {
    /// Sum over images of the product of the two row sums.
    rows: f64,
    /// Product of the two sums over everything.
    totals: f64,
}

fn normalised<T: Number>(first: &[T], second: &[T], images: usize, inner: &dyn Fn(f64, Sums) -> f64) -> Result<f64> {
    let (rows_a, rows_b) = (row_sums(first, images), row_sums(second, images));
    let of = |a: &[T], b: &[T], rows_a: &[f64], rows_b: &[f64]| {
        let rows = rows_a.iter().zip(rows_b).map(|(a, b)| a * b).sum();
        inner(product(a, b), Sums { rows, totals: rows_a.iter().sum::<f64>() * rows_b.iter().sum::<f64>() })
    };
    let (own_a, own_b) = (of(first, first, &rows_a, &rows_a), of(second, second, &rows_b, &rows_b));
    for (which, values, own) in [("first", first, own_a), ("second", second, own_b)] {
        // What rounding leaves of a matrix that centring takes away.
        if own <= product(values, values) * 1e-12 {
            return Err(Error::Constant { which, pairs: first.len() });
        }
    }
    Ok((of(first, second, &rows_a, &rows_b) / (own_a * own_b).sqrt()).clamp(-1.0, 1.0))
}

/// Sums of the rows of the symmetric matrix.
fn row_sums<T: Number>(packed: &[T], images: usize) -> Vec<f64> {
    (0..images)
        .into_par_iter()
        .map(|i| {
            let above: f64 = (0..i).map(|j| packed[row_start(images, j) + i - j - 1].into()).sum();
            let start = row_start(images, i);
            above + packed[start..start + images - 1 - i].iter().map(|value| (*value).into()).sum::<f64>()
        })
        .collect()
}
