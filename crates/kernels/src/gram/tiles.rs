//! Products of panels with bfloat16 tiles ([`crate::simd::tiles`]), as accurate as with f32.
//!
//! # Accuracy
//!
//! A number of 24 bits is split into three of 8: the nearest number, the one nearest to the rest,
//! and the remainder; both subtractions are exact. With v = 2^-8, these parts of x are at most |x|
//! (1 + v), |x| v and |x| v^2 in magnitude. Of the nine products of two numbers, six are computed.
//! Of those omitted, two are at most |x y| v^3 and one |x y| v^4: together less than |x y| 2^-22.9,
//! of either sign. For vectors of length one, the sum of |x y| over dimensions is at most 1, so
//! **omitting them costs less than 1.3e-7** for any vectors. Two parts and three products, half the
//! work, would omit up to 2^-16 of a product, and of a square always with the same sign: measured,
//! vectors with one large value were off by 1.0e-5, and similar vectors by 3.2e-6.
//!
//! A product of two parts is exact in f32. Sums over [`DEPTH`] dimensions are accumulated
//! separately, small products first in each tile. Each rounding error is relative to the value of
//! such a partial sum, which is a small fraction of 1 unless few dimensions dominate. Tests check
//! that the largest error over all pairs is 1e-6 against cosines in f64, as for f32.
//!
//! Six products pay off with tiles, which compute sixteen times as many as an f32 vector
//! instruction. `vdpbf16ps` computes only twice as many (measured on a Zen 5: 310 to 364 GFlop/s
//! against 154 to 182), so six of its products take three times as long as one of f32. On
//! processors with AVX-512 BF16 but no tiles, products are therefore computed in f32.

use super::{PANEL, Panels};
use crate::simd::tiles::{self, NUMBERS, ROWS, TileSums, Tiles, with_tiles};
use crate::simd::{Isa, vectorized};
use crate::transpose::transpose;

/// Dimensions whose products are summed before they are added to the result.
const DEPTH: usize = 384;

/// Tiles of depth.
const STEPS: usize = DEPTH / tiles::DEPTH;

/// Tiles of vectors per panel.
const GROUPS: usize = PANEL / ROWS;

/// Parts of a number.
const PARTS: usize = 3;

/// Parts of both factors that are multiplied, smallest products first.
const PRODUCTS: [[usize; 2]; 6] = [[2, 0], [0, 2], [1, 1], [1, 0], [0, 1], [0, 0]];

/// Numbers in the parts of sixteen vectors, `[part][tile of depth][row][32]`.
const SPLIT: usize = PARTS * STEPS * NUMBERS;

/// Largest number of sixteen-vector groups per side that are multiplied together.
const TOGETHER: usize = 2;

/// See [`super::Gram::products`].
///
/// # Safety
///
/// The processor has the instructions of `T`.
pub(super) unsafe fn multiply<T: Tiles>(
    isa: Isa,
    rows: Panels,
    columns: Panels,
    upper: bool,
    out: &mut [f32],
) {
    let depth = rows.depth;
    let stride = columns.count() * PANEL;
    let (row_groups, column_groups) = (rows.count() * GROUPS, columns.count() * GROUPS);
    let mut right = vec![0u32; column_groups * SPLIT / 2];
    let mut turned = vec![0u32; SPLIT / 2];
    let mut left = vec![0u32; TOGETHER * SPLIT / 2];
    let mut sums = [0.0; TOGETHER * ROWS * TOGETHER * ROWS];
    let add = |tiles: &mut T| {
        for start in (0..depth).step_by(DEPTH) {
            let length = DEPTH.min(depth - start);
            let steps: Vec<[usize; 2]> = (0..length.div_ceil(tiles::DEPTH))
                .flat_map(|step| {
                    PRODUCTS.map(|parts| parts.map(|part| (part * STEPS + step) * NUMBERS))
                })
                .collect();
            for (group, right) in right.chunks_exact_mut(SPLIT / 2).enumerate() {
                split(vectors(&columns, group, start, length), length, right);
            }
            for first_row in (0..row_groups).step_by(TOGETHER) {
                let row_count = TOGETHER.min(row_groups - first_row);
                for (group, left) in
                    (first_row..first_row + row_count).zip(left.chunks_exact_mut(SPLIT / 2))
                {
                    split(vectors(&rows, group, start, length), length, &mut turned);
                    for (turned, left) in
                        turned.chunks_exact(NUMBERS / 2).zip(left.chunks_exact_mut(NUMBERS / 2))
                    {
                        // Pairs of numbers have as many bits as a float, so they are transposed as
                        // floats.
                        let (turned, left): (&[f32], &mut [f32]) =
                            (bytemuck::cast_slice(turned), bytemuck::cast_slice_mut(left));
                        transpose(isa, [ROWS, ROWS], turned, ROWS, left, ROWS);
                    }
                }
                let first = if upper { first_row / GROUPS * GROUPS } else { 0 };
                for first_column in (first..column_groups).step_by(TOGETHER) {
                    let column_count = TOGETHER.min(column_groups - first_column);
                    let tile_sums = TileSums {
                        left: bytemuck::cast_slice(&left),
                        left_row: tiles::DEPTH,
                        left_tiles: &[0, SPLIT][..row_count],
                        right: bytemuck::cast_slice(&right[first_column * SPLIT / 2..]),
                        right_row: tiles::DEPTH,
                        right_tiles: &[0, SPLIT][..column_count],
                        steps: &steps,
                    };
                    let width = column_count * ROWS;
                    // SAFETY: the tiles are configured.
                    unsafe { tile_sums.sum(tiles, &mut sums, width, false) };
                    for (row, sums) in
                        (first_row..).zip(sums.chunks_exact(ROWS * width).take(row_count))
                    {
                        for column in first_column..first_column + column_count {
                            if upper && row / GROUPS > column / GROUPS {
                                continue;
                            }
                            let to = &mut out[row * ROWS * stride + column * ROWS..];
                            take_up(
                                &sums[(column - first_column) * ROWS..],
                                width,
                                to,
                                stride,
                                start == 0,
                            );
                        }
                    }
                }
            }
        }
    };
    // SAFETY: the caller guarantees the instructions; nothing here waits for other threads.
    unsafe { with_tiles::<T, _>(add) };
}

/// Some dimensions of sixteen vectors, with [`PANEL`] floats from one dimension to the next.
fn vectors<'a>(panels: &Panels<'a>, group: usize, start: usize, length: usize) -> &'a [f32] {
    let panel = &panels.values[(group / GROUPS * panels.depth + start) * PANEL..][..length * PANEL];
    &panel[group % GROUPS * ROWS..]
}

vectorized! {
    /// The three parts of sixteen vectors, in pairs of dimensions: `[part][pair][vector]`.
    /// Dimensions beyond `length` are 0.
    fn split(values: &[f32], length: usize, parts: &mut [u32]) {
        let (first, rest) = parts.split_at_mut(STEPS * NUMBERS / 2);
        let (second, third) = rest.split_at_mut(STEPS * NUMBERS / 2);
        let rows = first.as_chunks_mut::<ROWS>().0.iter_mut();
        let rows = rows.zip(second.as_chunks_mut::<ROWS>().0).zip(third.as_chunks_mut::<ROWS>().0);
        for (pair, ((first, second), third)) in rows.take(length.next_multiple_of(tiles::DEPTH) / 2).enumerate() {
            let row = |k: usize| match values.get(k * PANEL..k * PANEL + ROWS) {
                Some(row) if k < length => row.try_into().expect("sixteen vectors"),
                _ => [0.0; ROWS],
            };
            let (mut even, mut odd): ([f32; ROWS], [f32; ROWS]) = (row(2 * pair), row(2 * pair + 1));
            for to in [first, second, third] {
                for vector in 0..ROWS {
                    let (a, b) = (nearest(even[vector]), nearest(odd[vector]));
                    to[vector] = a.to_bits() >> 16 | b.to_bits();
                    even[vector] -= a;
                    odd[vector] -= b;
                }
            }
        }
    }
}

/// The nearest number of 8 bits; ties go to the larger magnitude.
#[inline(always)]
fn nearest(value: f32) -> f32 {
    f32::from_bits((value.to_bits() + 0x8000) & 0xffff_0000)
}

vectorized! {
    /// Copies sixteen by sixteen sums to their place, or adds them.
    fn take_up(sums: &[f32], sums_row: usize, to: &mut [f32], to_row: usize, first: bool) {
        for (sums, to) in sums.chunks(sums_row).zip(to.chunks_mut(to_row)).take(ROWS) {
            for (to, sum) in to[..ROWS].iter_mut().zip(&sums[..ROWS]) {
                *to = if first { *sum } else { *to + *sum };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::widen;
    use crate::testing::values;

    #[test]
    fn three_parts_of_eight_bits_are_the_number() {
        let numbers: Vec<f32> = values(PANEL * 7, 1).iter().map(|value| value * 0.37).collect();
        let mut parts = vec![7; SPLIT / 2];
        split(&numbers, 7, &mut parts);
        let parts: &[u16] = bytemuck::cast_slice(&parts);
        for k in 0..tiles::DEPTH {
            for vector in 0..ROWS {
                let part = |part: usize| {
                    widen(parts[part * STEPS * NUMBERS + k / 2 * tiles::DEPTH + 2 * vector + k % 2])
                };
                let expected = if k < 7 { numbers[k * PANEL + vector] } else { 0.0 };
                assert_eq!(
                    part(0) + (part(1) + part(2)),
                    expected,
                    "dimension {k} of vector {vector}"
                );
                assert!(
                    part(1).abs() <= expected.abs() / 256.0
                        && part(2).abs() <= expected.abs() / 65_536.0
                );
            }
        }
    }
}
