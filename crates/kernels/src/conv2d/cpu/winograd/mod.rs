//! Correlations with 3 x 3 kernels and stride 1, by Winograd's minimal filtering F(4 x 4, 3 x 3):
//! 36 products per 4 x 4 outputs instead of 144 (Lavin and Gray, *Fast Algorithms for Convolutional
//! Neural Networks*, 2016).
//!
//! An output tile of 4 x 4 reads a patch of 6 x 6. Patches, kernels and tiles are treated as
//! polynomials: they are evaluated at six [`points`] along each axis, multiplied there, and
//! interpolated. With 36 points, the sum of the products over channels is 36 matrix products
//! ([`product`]). The transforms write their operands in the order in which the products read them,
//! always with sixteen contiguous channels ([`CHUNK`]), independent of the size of an image.
//!
//! The forward pass and the input gradient ([`correlate`]) process a batch in blocks of tiles that
//! stay in the L2 cache together with their products. The weight gradient ([`weight_gradient`])
//! sums over tiles instead of channels.
//!
//! # Accuracy
//!
//! The points 0, +-5/8, +-11/8 and infinity keep the transform matrices well conditioned. An output
//! (or a tap of the weight gradient) differs from the exact sum by less than 4e-6 times the largest
//! sum of absolute products among the outputs of its tile (or the taps of its kernel). The largest
//! measured error is 4e-7 with 64 channels, and the mean error is twice that of direct summation.
//! The usual points 0, +-1, +-2 lose four times as much. Tests check these bounds.

use std::ops::Range;

use super::Problem;

mod correlate;
pub(super) mod mixed;
mod points;
mod product;
mod transforms;
mod weight_gradient;

pub(super) use correlate::correlate;
#[cfg(test)]
pub(super) use correlate::{Share, correlate_in};
pub(super) use weight_gradient::weight_gradient;

/// Outputs per tile along each axis.
const TILE: usize = 4;
/// Inputs per patch along each axis.
const PATCH: usize = 6;
/// Products per tile.
const POINTS: usize = PATCH * PATCH;
const TAPS: usize = 9;
/// Contiguous channels.
const CHUNK: usize = 16;
/// Approximate tiles per block, few enough that their intermediate results stay in the L2 cache.
const BLOCK_TILES: usize = 64;

/// Sizes of a correlation over one group of channels; the input gradient computes what the forward
/// pass reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub batch: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Size of the source.
    pub height: usize,
    pub width: usize,
    /// Zeros above and to the left of it.
    pub padding: usize,
    /// Size of the result.
    pub out_height: usize,
    pub out_width: usize,
}

/// Some tile rows of one image, or all tile rows of some images.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    images: Range<usize>,
    rows: Range<usize>,
}

impl Plan {
    /// The plan of the forward pass, if the kernel is 3 x 3 with stride 1.
    pub(super) fn forward(p: &Problem) -> Option<Self> {
        Self::fits(p).then_some(Self {
            batch: p.batch,
            in_channels: p.in_channels,
            out_channels: p.out_channels,
            height: p.height,
            width: p.width,
            padding: p.padding,
            out_height: p.out_height,
            out_width: p.out_width,
        })
    }

    /// The plan of the input gradient, under the same conditions.
    pub(super) fn input_gradient(p: &Problem) -> Option<Self> {
        Self::fits(p).then_some(Self {
            batch: p.batch,
            in_channels: p.out_channels,
            out_channels: p.in_channels,
            height: p.out_height,
            width: p.out_width,
            padding: 2 - p.padding,
            out_height: p.height,
            out_width: p.width,
        })
    }

    fn fits(p: &Problem) -> bool {
        (p.kernel_height, p.kernel_width, p.stride, p.dilation, p.groups) == (3, 3, 1, 1, 1)
            && p.padding <= 2
    }

    /// Whether this is faster than direct summation, counted in multiplications; transforms have a
    /// measured cost.
    pub(super) fn pays(&self) -> bool {
        let padded = |channels: usize| channels.div_ceil(CHUNK) * CHUNK;
        let tiles = (self.tiles_down() * self.tiles_across()) as f64;
        let (inputs, outputs) = (padded(self.in_channels) as f64, padded(self.out_channels) as f64);
        let products = tiles * POINTS as f64 * inputs * outputs;
        let transforms = tiles * (inputs + outputs) * TRANSFORM_COST;
        let direct = (self.out_height * self.out_width * TAPS) as f64
            * (self.in_channels * self.out_channels) as f64;
        products + transforms < direct
    }

    fn tiles_down(&self) -> usize {
        self.out_height.div_ceil(TILE)
    }

    fn tiles_across(&self) -> usize {
        self.out_width.div_ceil(TILE)
    }

    fn in_chunks(&self) -> usize {
        self.in_channels.div_ceil(CHUNK)
    }

    fn out_plane(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Images per block: at least one, and such that there are several blocks.
    fn block_images(&self) -> usize {
        const BLOCKS: usize = 8;
        let tiles = self.tiles_down() * self.tiles_across();
        (BLOCK_TILES / tiles).min(self.batch.div_ceil(BLOCKS)).max(1)
    }

    /// The blocks of some images, as even as possible.
    fn blocks(&self, images: Range<usize>) -> Vec<Block> {
        let tiles = images.len() * self.tiles_down() * self.tiles_across();
        let parts = match images.len() {
            1 => tiles.div_ceil(BLOCK_TILES).min(self.tiles_down()),
            _ => 1,
        };
        let cut = |part: usize| part * self.tiles_down() / parts;
        (0..parts)
            .map(|part| Block { images: images.clone(), rows: cut(part)..cut(part + 1) })
            .collect()
    }

    fn tiles(&self, block: &Block) -> usize {
        block.images.len() * block.rows.len() * self.tiles_across()
    }

    /// Tiles of the largest block, rounded up to complete groups of rows of a matrix product.
    fn block_capacity(&self, blocks: &[Block]) -> usize {
        blocks
            .iter()
            .map(|block| self.tiles(block))
            .max()
            .unwrap_or(0)
            .next_multiple_of(product::ROWS)
    }
}

/// Cost of transforming a tile of one channel in both directions, in multiplications.
const TRANSFORM_COST: f64 = 250.0;

/// Layout of the evaluations of some tiles: `[point][chunk of channels][tile][channel]`.
#[derive(Debug, Clone, Copy)]
struct Evaluations {
    chunks: usize,
    tiles: usize,
}

impl Evaluations {
    /// Floats from one chunk to the next.
    fn chunk(&self) -> usize {
        self.tiles * CHUNK
    }

    /// Floats from one point to the next, padded to avoid cache set conflicts.
    fn point(&self) -> usize {
        self.chunks * self.chunk() + CHUNK
    }

    fn len(&self) -> usize {
        POINTS * self.point()
    }
}
