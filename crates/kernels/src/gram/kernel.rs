//! Products of panels, in registers.

use super::{PANEL, Panels};
use crate::simd::{Isa, Vector, compiled_for_each, instance};

/// Dimensions that are summed in registers before the sums are added to the tile. The slices of the two panels at hand then
/// stay in the nearest cache, and sums of many thousand dimensions stay exact to rounding.
const DEPTH: usize = 384;

pub(super) struct Products<'a> {
    pub(super) rows: Panels<'a>,
    pub(super) columns: Panels<'a>,
    pub(super) upper: bool,
    /// Room for the products of all panels.
    pub(super) out: *mut f32,
}

/// The kernel of a level: as many rows as its registers hold sums for.
pub(super) fn of(isa: Isa) -> unsafe fn(&Products<'_>) {
    match isa.wide() {
        true => instance!(isa, multiply, 8, 3),
        false => instance!(isa, multiply, 4, 3),
    }
}

/// # Safety
/// The processor has the instructions of `V`; `out` holds the products of all panels.
#[inline(always)]
unsafe fn multiply<V: Vector, const ROWS: usize, const VECTORS: usize>(block: &Products) {
    let depth = block.rows.depth;
    let stride = block.columns.count() * PANEL;
    for start in (0..depth).step_by(DEPTH) {
        let length = DEPTH.min(depth - start);
        for column in 0..block.columns.count() {
            let right = block.columns.values[(column * depth + start) * PANEL..].as_ptr();
            let last = if block.upper { block.rows.count().min(column + 1) } else { block.rows.count() };
            for row in 0..last {
                let left = block.rows.values[(row * depth + start) * PANEL..].as_ptr();
                for r in (0..PANEL).step_by(ROWS) {
                    for c in (0..PANEL).step_by(VECTORS * V::LANES) {
                        // SAFETY: `start + length <= depth` dimensions of both panels lie behind the pointers, and `out`
                        // holds row `row * PANEL + r + ROWS - 1` up to column `column * PANEL + c + VECTORS * LANES - 1`.
                        unsafe {
                            let out = block.out.add((row * PANEL + r) * stride + column * PANEL + c);
                            add_products::<V, ROWS, VECTORS>(length, left.add(r), right.add(c), out, stride, start == 0);
                        }
                    }
                }
            }
        }
    }
}

/// Sums over `depth` dimensions for `ROWS` x `VECTORS * LANES` pairs, held in registers.
///
/// # Safety
/// As of [`multiply`].
#[inline(always)]
unsafe fn add_products<V: Vector, const ROWS: usize, const VECTORS: usize>(
    depth: usize,
    mut left: *const f32,
    mut right: *const f32,
    out: *mut f32,
    stride: usize,
    first: bool,
) {
    // SAFETY: the caller vouches for `depth` dimensions of both panels, and for the products in `out`.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for _ in 0..depth {
            let mut columns = [V::splat(0.0); VECTORS];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = V::load(right.add(v * V::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let row = V::splat(*left.add(r));
                for (sum, column) in sums.iter_mut().zip(&columns) {
                    *sum = row.mul_add(*column, *sum);
                }
            }
            left = left.add(PANEL);
            right = right.add(PANEL);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = out.add(r * stride + v * V::LANES);
                if first { *sum } else { sum.add(V::load(to)) }.store(to);
            }
        }
    }
}

compiled_for_each!(multiply, Products, ROWS, VECTORS);
