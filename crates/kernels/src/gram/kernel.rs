//! Products of panels, in registers.
//!
//! Rows are processed in strips of [`STRIP`], which are copied into a layout for the registers and
//! stay in the L1 cache, with the slices of all columns in the L2 cache. The next strip and slices
//! are prefetched, because the hardware prefetcher stops at the end of a panel.

use super::{PANEL, Panels};
use crate::simd::{Isa, Vector, compiled_for_each, instance};

/// Dimensions that are summed in registers before the sums are added to the tile. The slices of
/// both panels then stay in the nearest caches, and sums of many thousand dimensions stay accurate.
const DEPTH: usize = 384;

/// Rows that are copied together: one cache line per dimension.
const STRIP: usize = 16;

/// Dimensions for which one cache line of each upcoming operand is prefetched.
const AHEAD: usize = 8;

pub(super) struct Products<'a> {
    pub(super) rows: Panels<'a>,
    pub(super) columns: Panels<'a>,
    pub(super) upper: bool,
    /// A buffer for the products of all panels.
    pub(super) out: *mut f32,
}

/// The kernel of a level, with as many rows as its registers hold sums for.
pub(super) fn of(isa: Isa) -> unsafe fn(&Products<'_>) {
    match isa {
        _ if isa.wide() => instance!(isa, multiply, 8, 3),
        // Without fused multiply-adds there are half as many registers of half the size.
        Isa::Portable => instance!(isa, multiply, 1, 6),
        _ => instance!(isa, multiply, 4, 3),
    }
}

/// A strip, `[group of rows][dimension][row of the group]`.
#[repr(align(64))]
struct Strip([f32; STRIP * DEPTH]);

/// Cache lines to prefetch, with their distances in floats.
#[derive(Clone, Copy)]
struct Lines {
    from: *const f32,
    step: usize,
}

/// # Safety
/// The processor has the instructions of `V`; `out` holds the products of all panels.
#[inline(always)]
unsafe fn multiply<V: Vector, const ROWS: usize, const VECTORS: usize>(block: &Products) {
    let (depth, rows, columns) = (block.rows.depth, block.rows.count(), block.columns.count());
    let stride = columns * PANEL;
    let strips = rows * PANEL / STRIP;
    let left_of = |strip: usize, start: usize| {
        let panel = strip * STRIP / PANEL;
        block
            .rows
            .values
            .as_ptr()
            .wrapping_add((panel * depth + start) * PANEL + strip * STRIP % PANEL)
    };
    // Passes of a strip over a panel of columns, and the prefetches of each.
    let parts = PANEL / (VECTORS * V::LANES);
    let passes = STRIP / ROWS * parts;
    let asked_by =
        |pass: usize, from: *const f32, lines: usize, step: usize| match pass * (DEPTH / AHEAD) {
            first if first < lines => Lines { from: from.wrapping_add(first * step), step },
            _ => Lines { from, step: 0 },
        };
    let mut strip_values = Strip([0.0; STRIP * DEPTH]);
    for start in (0..depth).step_by(DEPTH) {
        let length = DEPTH.min(depth - start);
        let more = start + DEPTH < depth;
        for strip in 0..strips {
            let left = left_of(strip, start);
            for (group, to) in strip_values.0.chunks_exact_mut(ROWS * DEPTH).enumerate() {
                for (k, to) in to.chunks_exact_mut(ROWS).take(length).enumerate() {
                    // SAFETY: dimension `start + k` of the panel is within its memory, and the
                    // strip within the panel.
                    let from = unsafe {
                        std::slice::from_raw_parts(left.add(k * PANEL + group * ROWS), ROWS)
                    };
                    to.copy_from_slice(from);
                }
            }
            let next = match strip + 1 < strips {
                true => left_of(strip + 1, start),
                false => left_of(0, if more { start + DEPTH } else { start }),
            };
            let first = if block.upper { strip * STRIP / PANEL } else { 0 };
            for column in first..columns {
                let right = block.columns.values[(column * depth + start) * PANEL..].as_ptr();
                let coming = right.wrapping_add(if more { DEPTH * PANEL } else { 0 });
                for (group, left) in strip_values.0.chunks_exact(ROWS * DEPTH).enumerate() {
                    for part in 0..parts {
                        let (pass, c) = (group * parts + part, part * VECTORS * V::LANES);
                        let asked = [
                            asked_by((column - first) * passes + pass, next, DEPTH, PANEL),
                            asked_by(strip * passes + pass, coming, DEPTH * PANEL / STRIP, STRIP),
                        ];
                        // SAFETY: the strip has `length` dimensions and the panel has as many from
                        // `start` on, and `out` holds row `strip * STRIP + (group + 1) * ROWS - 1`
                        // up to column `column * PANEL + c + VECTORS * LANES - 1`.
                        unsafe {
                            let out = block
                                .out
                                .add((strip * STRIP + group * ROWS) * stride + column * PANEL + c);
                            add_products::<V, ROWS, VECTORS>(
                                length,
                                left.as_ptr(),
                                right.add(c),
                                asked,
                                out,
                                stride,
                                start == 0,
                            );
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
/// See [`multiply`].
#[inline(always)]
unsafe fn add_products<V: Vector, const ROWS: usize, const VECTORS: usize>(
    depth: usize,
    mut left: *const f32,
    mut right: *const f32,
    mut asked: [Lines; 2],
    out: *mut f32,
    stride: usize,
    first: bool,
) {
    // SAFETY: the caller guarantees `depth` dimensions of both panels and the products in `out`;
    // prefetches do not read.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for start in (0..depth).step_by(AHEAD) {
            for lines in &mut asked {
                V::ask_for(lines.from);
                lines.from = lines.from.wrapping_add(lines.step);
            }
            for _ in 0..AHEAD.min(depth - start) {
                let mut columns = [V::splat(0.0); VECTORS];
                for v in 0..VECTORS {
                    columns[v] = V::load(right.add(v * V::LANES));
                }
                for r in 0..ROWS {
                    let row = V::splat(*left.add(r));
                    for v in 0..VECTORS {
                        sums[r][v] = row.mul_add(columns[v], sums[r][v]);
                    }
                }
                left = left.add(ROWS);
                right = right.add(PANEL);
            }
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
