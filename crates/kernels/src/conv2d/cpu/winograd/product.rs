//! Matrix products of evaluations, with a few rows of the result at a time in registers.

use super::CHUNK;
use crate::simd::{Isa, Vector, compiled_for_each, instance};

/// Rows that the largest kernel computes at a time; numbers of tiles are rounded up to a multiple.
pub(super) const ROWS: usize = 8;

/// `c[row][lane] (+)= sum over depth of a[row, depth] b[depth][lane]`
#[derive(Debug, Clone, Copy)]
pub(super) struct Operands<'a> {
    /// Element `(row, depth)` is at `row * CHUNK + depth % CHUNK + depth / CHUNK * a_outer` if
    /// tiles are rows, and at `row + depth % inner * CHUNK + depth / inner * a_outer` if tiles are
    /// summed.
    pub a: &'a [f32],
    pub a_outer: usize,
    /// Row `depth` of lanes is at `depth % inner * CHUNK + depth / inner * b_outer`, that of a
    /// second chunk `b_chunk` further.
    pub b: &'a [f32],
    pub b_outer: usize,
    pub b_chunk: usize,
    /// The depth is `outer * inner`.
    pub outer: usize,
    pub inner: usize,
    /// Chunks of lanes, 1 or 2.
    pub chunks: usize,
}

struct Arguments<'a> {
    operands: &'a Operands<'a>,
    /// First row.
    row: usize,
    c: *mut f32,
    resume: bool,
}

/// Computes or continues `ROWS` rows of `VECTORS` vectors. Elements of a row of `a` are `DEPTH`
/// apart, rows `ROW`.
///
/// # Safety
///
/// The operands extend as far as their sizes state; the processor has the instructions of the
/// vector.
#[inline(always)]
unsafe fn rows<
    V: Vector,
    const ROWS: usize,
    const VECTORS: usize,
    const ROW: usize,
    const DEPTH: usize,
>(
    arguments: &Arguments,
) {
    let o = arguments.operands;
    // SAFETY: the caller guarantees access to every row, lane and depth.
    unsafe {
        let at = |row: usize, v: usize| arguments.c.add((row * VECTORS + v) * V::LANES);
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        if arguments.resume {
            for row in 0..ROWS {
                for v in 0..VECTORS {
                    sums[row][v] = V::load(at(row, v));
                }
            }
        }
        let inner = if DEPTH == 1 { CHUNK } else { o.inner };
        for outer in 0..o.outer {
            let a = o.a.as_ptr().add(outer * o.a_outer + arguments.row * ROW);
            let b = o.b.as_ptr().add(outer * o.b_outer);
            for depth in 0..inner {
                let mut lanes = [V::splat(0.0); VECTORS];
                for v in 0..VECTORS {
                    let (chunk, lane) = (v * V::LANES / CHUNK, v * V::LANES % CHUNK);
                    lanes[v] = V::load(b.add(chunk * o.b_chunk + depth * CHUNK + lane));
                }
                for row in 0..ROWS {
                    let value = V::splat(*a.add(row * ROW + depth * DEPTH));
                    for v in 0..VECTORS {
                        sums[row][v] = lanes[v].mul_add(value, sums[row][v]);
                    }
                }
            }
        }
        for row in 0..ROWS {
            for v in 0..VECTORS {
                sums[row][v].store(at(row, v));
            }
        }
    }
}

compiled_for_each!(rows, Arguments, ROWS, VECTORS, ROW, DEPTH);

/// Largest number of lane chunks that the kernels of an instruction set compute at a time.
pub(super) fn most_chunks(isa: Isa) -> usize {
    if isa.wide() { 2 } else { 1 }
}

/// Sums products where rows are tiles and the depth is channels: `count` rows of `c`, a multiple of
/// [`ROWS`], with `chunks` chunks each.
pub(super) fn over_channels(isa: Isa, operands: &Operands, count: usize, c: &mut [f32]) {
    let o = operands;
    assert!(o.inner == CHUNK && (o.outer - 1) * o.a_outer + count * CHUNK <= o.a.len());
    let kernel: unsafe fn(&Arguments) = match (isa.wide(), o.chunks) {
        (true, 2) => instance!(isa, rows, 8, 2, CHUNK, 1),
        (true, _) => instance!(isa, rows, 8, 1, CHUNK, 1),
        (false, _) => instance!(isa, rows, 4, 2, CHUNK, 1),
    };
    each(isa, kernel, o, count, c, false);
}

/// Sums products where rows are the channels of a chunk and the depth is tiles: [`CHUNK`] rows of
/// `c`.
pub(super) fn over_tiles(isa: Isa, operands: &Operands, c: &mut [f32], resume: bool) {
    let o = operands;
    assert!((o.outer - 1) * o.a_outer + o.inner * CHUNK <= o.a.len());
    let kernel: unsafe fn(&Arguments) = match (isa.wide(), o.chunks) {
        (true, 2) => instance!(isa, rows, 8, 2, 1, CHUNK),
        (true, _) => instance!(isa, rows, 8, 1, 1, CHUNK),
        (false, _) => instance!(isa, rows, 4, 2, 1, CHUNK),
    };
    each(isa, kernel, o, CHUNK, c, resume);
}

fn each(
    isa: Isa,
    kernel: unsafe fn(&Arguments),
    o: &Operands,
    count: usize,
    c: &mut [f32],
    resume: bool,
) {
    let rows = if isa.wide() { 8 } else { 4 };
    assert!(
        count.is_multiple_of(rows) && o.outer > 0 && (1..=most_chunks(isa)).contains(&o.chunks)
    );
    assert!((o.outer - 1) * o.b_outer + (o.chunks - 1) * o.b_chunk + o.inner * CHUNK <= o.b.len());
    for (index, c) in
        c[..count * o.chunks * CHUNK].chunks_exact_mut(rows * o.chunks * CHUNK).enumerate()
    {
        let arguments = Arguments { operands: o, row: index * rows, c: c.as_mut_ptr(), resume };
        // SAFETY: the assertions here and in the callers keep all reads within the slices, `c` has
        // the floats of the rows, and the instruction set was detected.
        unsafe { kernel(&arguments) }
    }
}
