//! Eigenvalues and eigenvectors of symmetric matrices with some hundred rows: Householder reduction
//! to a tridiagonal matrix, then implicit QL steps (Golub & Van Loan, "Matrix Computations",
//! chapter 8).

use ndarray::Array2;

/// Largest number of QL steps per eigenvalue; a handful is typical.
const MOST_STEPS: usize = 60;

/// Eigenvalues of the symmetric `matrix`, unsorted, and the eigenvector of each as a row.
pub(super) fn symmetric(matrix: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let count = matrix.nrows();
    let mut basis = Array2::eye(count).into_raw_vec_and_offset().0;
    let (mut diagonal, mut beside) = tridiagonal(matrix.into_iter().collect(), &mut basis, count);
    for first in 0..count {
        for _ in 0..MOST_STEPS {
            let negligible = |k: usize| {
                beside[k].abs() <= f64::EPSILON * (diagonal[k].abs() + diagonal[k + 1].abs())
            };
            let last = (first..count - 1).find(|&k| negligible(k)).unwrap_or(count - 1);
            if last == first {
                break;
            }
            step(&mut diagonal, &mut beside, &mut basis, first, last, count);
        }
    }
    (diagonal, Array2::from_shape_vec((count, count), basis).expect("a square of rows"))
}

/// Diagonal and off-diagonal of H A H for reflections H, whose product is written to the rows of
/// `basis`.
fn tridiagonal(mut a: Vec<f64>, basis: &mut [f64], count: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.0; count];
    for k in 0..count.saturating_sub(1) {
        let below = k + 1;
        let mut v: Vec<f64> = (below..count).map(|row| a[row * count + k]).collect();
        let norm = dot(&v, &v).sqrt();
        let reflected = if v[0] > 0.0 { -norm } else { norm };
        beside[k] = reflected;
        v[0] -= reflected;
        let square = dot(&v, &v);
        if square == 0.0 {
            continue;
        }
        let beta = 2.0 / square;
        let mut p: Vec<f64> = (below..count)
            .map(|row| beta * dot(&a[row * count + below..(row + 1) * count], &v))
            .collect();
        let half = beta / 2.0 * dot(&p, &v);
        p.iter_mut().zip(&v).for_each(|(p, v)| *p -= half * v);
        for i in 0..v.len() {
            let row = &mut a[(below + i) * count + below..(below + i + 1) * count];
            row.iter_mut()
                .zip(v.iter().zip(&p))
                .for_each(|(a, (vj, pj))| *a -= v[i] * pj + p[i] * vj);
        }
        let mut along = vec![0.0; count];
        for (i, v) in v.iter().enumerate() {
            let row = &basis[(below + i) * count..(below + i + 1) * count];
            along.iter_mut().zip(row).for_each(|(sum, b)| *sum += v * b);
        }
        for (i, v) in v.iter().enumerate() {
            let row = &mut basis[(below + i) * count..(below + i + 1) * count];
            row.iter_mut().zip(&along).for_each(|(b, sum)| *b -= beta * v * sum);
        }
    }
    ((0..count).map(|k| a[k * count + k]).collect(), beside)
}

/// One implicit QL step on the block `first..=last`.
fn step(
    diagonal: &mut [f64],
    beside: &mut [f64],
    basis: &mut [f64],
    first: usize,
    last: usize,
    count: usize,
) {
    let slope = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
    let mut chased = diagonal[last] - diagonal[first]
        + beside[first] / (slope + slope.hypot(1.0).copysign(slope));
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    for i in (first..last).rev() {
        let (f, b) = (sine * beside[i], cosine * beside[i]);
        let length = f.hypot(chased);
        beside[i + 1] = length;
        if length == 0.0 {
            diagonal[i + 1] -= moved;
            beside[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / length, chased / length);
        let base = diagonal[i + 1] - moved;
        let turned = (diagonal[i] - base) * sine + 2.0 * cosine * b;
        moved = sine * turned;
        diagonal[i + 1] = base + moved;
        chased = cosine * turned - b;
        let (low, high) = basis.split_at_mut((i + 1) * count);
        for (x, y) in low[i * count..].iter_mut().zip(&mut high[..count]) {
            (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
        }
    }
    diagonal[first] -= moved;
    beside[first] = chased;
    beside[last] = 0.0;
}

/// A dot product in eight partial sums, which vectorizes; the order depends only on the length.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_orthonormal_and_give_the_matrix_again() {
        for count in [1, 2, 3, 17, 60] {
            let value = |i: usize, j: usize| {
                ((i * 7 + j * 13) % 11) as f64 - 5.0 + if i == j { 3.0 } else { 0.0 }
            };
            let matrix = Array2::from_shape_fn((count, count), |(i, j)| value(i.min(j), i.max(j)));
            let (values, vectors) = symmetric(matrix.clone());
            let unit = vectors.dot(&vectors.t());
            let again = vectors
                .t()
                .dot(&Array2::from_diag(&ndarray::Array1::from(values.clone())))
                .dot(&vectors);
            for ((i, j), found) in unit.indexed_iter() {
                assert!(
                    (found - f64::from(u8::from(i == j))).abs() < 1e-10,
                    "{count}: {i} {j} {found}"
                );
            }
            for (found, expected) in again.iter().zip(&matrix) {
                assert!((found - expected).abs() < 1e-9, "{count}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn a_matrix_of_low_rank_has_zeros() {
        let factor = Array2::from_shape_fn((20, 2), |(i, k)| ((i * (k + 3)) % 7) as f64 - 3.0);
        let (mut values, _) = symmetric(factor.dot(&factor.t()));
        values.sort_by(|a, b| b.total_cmp(a));
        assert!(
            values[1] > 1.0 && values[2..].iter().all(|value| value.abs() < 1e-9),
            "{values:?}"
        );
    }
}
