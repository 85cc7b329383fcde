//! Sums with neighboring outputs of a row as lanes: for images at least as wide as a vector, and
//! for few channels.

use super::correlation::{Correlation, Phase, Tap};
use super::pack::Block;
use crate::simd::{Isa, Vector, compiled_for_each, instance};
use crate::uninit::Place;

/// Largest number of vectors of outputs that a kernel computes at a time.
const VECTORS: usize = 6;

/// The same for a block of channels: as many as keep the multipliers busy and fit into the
/// registers.
fn vectors(block: usize) -> usize {
    if block >= 4 { 3 } else { VECTORS }
}

/// Vectors of outputs of a block of channels.
struct Tile<'a> {
    /// Where the outputs read tap offset 0 of channel 0.
    source: [*const f32; VECTORS],
    /// Outputs of the first channel.
    target: [*mut f32; VECTORS],
    /// Outputs that exist in each vector.
    count: [usize; VECTORS],
    channels: usize,
    plane: usize,
    taps: &'a [Tap],
    /// `[channel][tap][block]`
    weights: *const f32,
    /// Floats from one output channel to the next.
    target_plane: usize,
}

/// Computes `VECS` vectors of `BLOCK` channels.
///
/// # Safety
///
/// The pointers of the tile are valid for the range its sizes describe: complete vectors for reads,
/// `count` floats for writes.
#[inline(always)]
unsafe fn weighted_rows<V: Vector, const BLOCK: usize, const VECS: usize>(tile: &Tile) {
    // SAFETY: the caller guarantees the pointers, for every channel and tap.
    unsafe {
        let mut sums = [[V::splat(0.0); VECS]; BLOCK];
        let mut weights = tile.weights;
        for channel in 0..tile.channels {
            for tap in tile.taps {
                let offset = channel * tile.plane + tap.offset;
                let mut values = [V::splat(0.0); VECS];
                for v in 0..VECS {
                    values[v] = V::load(tile.source[v].add(offset));
                }
                for b in 0..BLOCK {
                    let weight = V::splat(*weights.add(b));
                    for v in 0..VECS {
                        sums[b][v] = values[v].mul_add(weight, sums[b][v]);
                    }
                }
                weights = weights.add(BLOCK);
            }
        }
        for b in 0..BLOCK {
            for v in 0..VECS {
                let target = tile.target[v].add(b * tile.target_plane);
                match tile.count[v] {
                    count if count == V::LANES => sums[b][v].store(target),
                    count => sums[b][v].store_first(target, count),
                }
            }
        }
    }
}

compiled_for_each!(weighted_rows, Tile, BLOCK, VECS);

fn kernel(isa: Isa, block: usize, vectors: usize) -> unsafe fn(&Tile) {
    macro_rules! of {
        ($block:expr, $($vectors:expr),*; $most:expr) => {
            match vectors {
                $($vectors => instance!(isa, weighted_rows, $block, $vectors),)*
                _ => instance!(isa, weighted_rows, $block, $most),
            }
        };
    }
    match block {
        8 => of!(8, 1, 2; 3),
        4 => of!(4, 1, 2; 3),
        2 => of!(2, 1, 2, 3, 4, 5; 6),
        _ => of!(1, 1, 2, 3, 4, 5; 6),
    }
}

/// Block widths with a kernel.
pub(super) fn widths(isa: Isa) -> &'static [usize] {
    if isa.wide() { &[8, 4, 2, 1] } else { &[4, 2, 1] }
}

/// Approximate cycles per channel and tap: multiplications or loads, two of either at a time.
pub(super) fn cost(isa: Isa, phase: &Phase, blocks: &[Block]) -> f64 {
    let count = (phase.rows * phase.columns.div_ceil(isa.lanes())) as f64;
    let per_vector = |width: usize| (width as f64).max(1.5 + width as f64 / vectors(width) as f64);
    blocks.iter().map(|b| count * per_vector(b.width) / 2.0).sum()
}

/// Computes the outputs of one image and phase: `target[block channel * target_plane + row *
/// columns + column]`.
pub(super) fn correlate<P: Place>(
    isa: Isa,
    c: &Correlation,
    phase: &Phase,
    source: &[f32],
    blocks: &[Block],
    weights: &[f32],
    target: &mut [P],
) {
    let lanes = isa.lanes();
    let target_plane = phase.rows * phase.columns;
    let in_row = phase.columns.div_ceil(lanes);
    let all = phase.rows * in_row;
    let reach = phase.taps.iter().map(|t| t.offset).max().unwrap_or(0)
        + (c.in_channels - 1) * c.padded.plane();
    let last = (phase.rows - 1) * c.row_step + (in_row - 1) * lanes + lanes;
    assert!(reach + last <= source.len(), "a row extends beyond its padded image");
    let mut weights = weights;
    for block in blocks {
        let (these, others) = weights.split_at(block.width * c.in_channels * phase.taps.len());
        weights = others;
        let target = &mut target[(block.first - blocks[0].first) * target_plane..]
            [..block.width * target_plane];
        let tiles = all.div_ceil(vectors(block.width));
        let mut vector = 0;
        for tile in 0..tiles {
            // As even as possible: two tiles of two vectors are faster than one of three and one of
            // one.
            let count = (all - vector).div_ceil(tiles - tile);
            let mut arguments = Tile {
                source: [std::ptr::null(); VECTORS],
                target: [std::ptr::null_mut(); VECTORS],
                count: [0; VECTORS],
                channels: c.in_channels,
                plane: c.padded.plane(),
                taps: &phase.taps,
                weights: these.as_ptr(),
                target_plane,
            };
            for v in 0..count {
                let (row, column) = ((vector + v) / in_row, (vector + v) % in_row * lanes);
                arguments.source[v] = source[row * c.row_step + column..].as_ptr();
                arguments.target[v] = target[row * phase.columns + column..].as_mut_ptr().cast();
                arguments.count[v] = lanes.min(phase.columns - column);
            }
            // SAFETY: the assertion above covers all reads of the source, `these` and `target` have
            // the sizes of the block, `count` keeps writes within the row, and the instruction set
            // was detected.
            unsafe { kernel(isa, block.width, count)(&arguments) };
            vector += count;
        }
    }
}
