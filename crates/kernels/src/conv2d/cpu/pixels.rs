//! Sums with output channels as lanes: for narrow images with many channels, whose rows do not fill
//! a vector.

use super::correlation::{Correlation, Phase, Tap};
use super::pack::Block;
use super::scratch::aligned;
use crate::simd::{Isa, Vector, compiled_for_each, instance};
use crate::transpose::transpose;
use crate::uninit::Place;

/// Outputs that a kernel computes at a time, in one or two rows.
const PIXELS: usize = 8;

/// Products that a kernel sums before it moves to the next tile, so that their weights stay in the
/// L1 cache.
const DEPTH: usize = 192;

/// Neighboring outputs of a block of channels.
struct Tile<'a> {
    /// Where the first output reads tap offset 0 of the first channel.
    source: *const f32,
    row_step: usize,
    channels: usize,
    plane: usize,
    taps: &'a [Tap],
    /// `[channel][tap][block]`
    weights: *const f32,
    /// `[pixel][block]`
    sums: *mut f32,
    /// Whether the sums continue those of earlier channels.
    resume: bool,
}

/// Computes or continues `BLOCK` vectors of channels of `ROWS` rows of `8 / ROWS` outputs.
///
/// # Safety
///
/// The pointers of the tile are valid for the range its sizes describe.
#[inline(always)]
unsafe fn weighted_pixels<V: Vector, const BLOCK: usize, const ROWS: usize>(tile: &Tile) {
    // SAFETY: the caller guarantees the pointers, for every channel, tap and pixel.
    unsafe {
        let at = |pixel: usize, b: usize| tile.sums.add((pixel * BLOCK + b) * V::LANES);
        let mut sums = [[V::splat(0.0); BLOCK]; PIXELS];
        if tile.resume {
            for pixel in 0..PIXELS {
                for b in 0..BLOCK {
                    sums[pixel][b] = V::load(at(pixel, b));
                }
            }
        }
        let mut weights = tile.weights;
        for channel in 0..tile.channels {
            for tap in tile.taps {
                let source = tile.source.add(channel * tile.plane + tap.offset);
                let mut kernels = [V::splat(0.0); BLOCK];
                for b in 0..BLOCK {
                    kernels[b] = V::load(weights.add(b * V::LANES));
                }
                for pixel in 0..PIXELS {
                    let columns = PIXELS / ROWS;
                    let value =
                        V::splat(*source.add(pixel / columns * tile.row_step + pixel % columns));
                    for b in 0..BLOCK {
                        sums[pixel][b] = kernels[b].mul_add(value, sums[pixel][b]);
                    }
                }
                weights = weights.add(BLOCK * V::LANES);
            }
        }
        for pixel in 0..PIXELS {
            for b in 0..BLOCK {
                sums[pixel][b].store(at(pixel, b));
            }
        }
    }
}

compiled_for_each!(weighted_pixels, Tile, BLOCK, ROWS);

fn kernel(isa: Isa, vectors: usize, rows: usize) -> unsafe fn(&Tile) {
    match (vectors, rows) {
        (1, 1) => instance!(isa, weighted_pixels, 1, 1),
        (1, _) => instance!(isa, weighted_pixels, 1, 2),
        (_, 1) => instance!(isa, weighted_pixels, 2, 1),
        (_, _) => instance!(isa, weighted_pixels, 2, 2),
    }
}

/// Block widths with a kernel.
pub(super) fn widths(isa: Isa) -> &'static [usize] {
    if isa.wide() { &[32, 16] } else { &[8] }
}

/// How the outputs of a phase are divided into tiles.
struct Grid {
    rows: usize,
    columns: usize,
    /// Tiles per row of tiles, and number of rows.
    across: usize,
    down: usize,
}

impl Grid {
    fn new(phase: &Phase) -> Self {
        let of = |rows: usize| {
            let columns = PIXELS / rows;
            Self {
                rows,
                columns,
                across: phase.columns.div_ceil(columns),
                down: phase.rows.div_ceil(rows),
            }
        };
        let (one, two) = (of(1), of(2));
        if two.tiles() < one.tiles() { two } else { one }
    }

    fn tiles(&self) -> usize {
        self.across * self.down
    }
}

/// Approximate cycles per channel and tap: multiplications or loads, two of either at a time.
pub(super) fn cost(isa: Isa, phase: &Phase, blocks: &[Block]) -> f64 {
    let tiles = Grid::new(phase).tiles() as f64;
    let per_tile = |width: usize| if width > isa.lanes() { 8.0 } else { 4.5 };
    blocks.iter().map(|b| tiles * per_tile(b.width)).sum()
}

/// Computes the outputs of some images and one phase:
/// `targets[image][channel * target_plane + row * columns + column]`.
pub(super) fn correlate<P: Place>(
    isa: Isa,
    c: &Correlation,
    phase: &Phase,
    sources: &[&[f32]],
    blocks: &[Block],
    weights: &[f32],
    targets: &mut [&mut [P]],
    sums: &mut Vec<f32>,
) {
    let grid = Grid::new(phase);
    let taps = phase.taps.len();
    let depth = (DEPTH / taps.max(1)).max(1);
    let reach = phase.taps.iter().map(|t| t.offset).max().unwrap_or(0)
        + (c.in_channels - 1) * c.padded.plane();
    let last = (grid.down * grid.rows - 1) * c.row_step + grid.across * grid.columns;
    assert!(
        sources.iter().all(|source| reach + last <= source.len()),
        "a tile extends beyond its padded image"
    );
    let mut weights = weights;
    for block in blocks {
        let (these, others) = weights.split_at(block.width * c.in_channels * taps);
        weights = others;
        let tile_sums = PIXELS * block.width;
        let sums = aligned(sums, sources.len() * grid.tiles() * tile_sums);
        let kernel = kernel(isa, block.width / isa.lanes(), grid.rows);
        for first in (0..c.in_channels).step_by(depth) {
            let channels = depth.min(c.in_channels - first);
            let weights = &these[first * taps * block.width..][..channels * taps * block.width];
            let mut sums = sums.chunks_exact_mut(tile_sums);
            for source in sources {
                for tile in 0..grid.tiles() {
                    let (row, column) =
                        (tile / grid.across * grid.rows, tile % grid.across * grid.columns);
                    let arguments = Tile {
                        source: source[first * c.padded.plane() + row * c.row_step + column..]
                            .as_ptr(),
                        row_step: c.row_step,
                        channels,
                        plane: c.padded.plane(),
                        taps: &phase.taps,
                        weights: weights.as_ptr(),
                        sums: sums.next().expect("sums for every tile").as_mut_ptr(),
                        resume: first > 0,
                    };
                    // SAFETY: the assertion above covers all reads of the source, `weights` and
                    // `sums` have the sizes of the block, and the instruction set was detected.
                    unsafe { kernel(&arguments) };
                }
            }
        }
        let mut sums = sums.chunks_exact(tile_sums);
        for target in targets.iter_mut() {
            for tile in 0..grid.tiles() {
                let sums = sums.next().expect("sums for every tile");
                let (row, column) =
                    (tile / grid.across * grid.rows, tile % grid.across * grid.columns);
                finish(
                    isa,
                    phase,
                    &grid,
                    block,
                    (block.first - blocks[0].first, row, column),
                    sums,
                    target,
                );
            }
        }
    }
}

/// Writes the sums of a tile, `[pixel][channel]`, to their places, `[channel][pixel]`.
fn finish<P: Place>(
    isa: Isa,
    phase: &Phase,
    grid: &Grid,
    block: &Block,
    (channel, row, column): (usize, usize, usize),
    sums: &[f32],
    target: &mut [P],
) {
    let target_plane = phase.rows * phase.columns;
    let (rows, columns) =
        (grid.rows.min(phase.rows - row), grid.columns.min(phase.columns - column));
    let target = &mut target[channel * target_plane + row * phase.columns + column..];
    if rows == 1 || phase.columns == grid.columns {
        transpose(isa, [rows * columns, block.channels], sums, block.width, target, target_plane);
        return;
    }
    for r in 0..rows {
        let sums = &sums[r * grid.columns * block.width..];
        transpose(
            isa,
            [columns, block.channels],
            sums,
            block.width,
            &mut target[r * phase.columns..],
            target_plane,
        );
    }
}
