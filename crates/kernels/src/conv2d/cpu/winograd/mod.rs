//! Correlations by 3 x 3 kernels of stride 1, by Winograd's minimal filtering F(4 x 4, 3 x 3): 36 products make 4 x 4 outputs
//! that the definition makes with 144 (Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016).
//!
//! An output tile of 4 x 4 reads a patch of 6 x 6. Patches, kernels and tiles are polynomials; they are evaluated at six
//! [`points`] along each axis, multiplied there, and interpolated. With 36 points, the sum over channels of the products is 36
//! matrix products ([`product`]) whose operands the transforms write in the order in which the products read them: always
//! sixteen channels side by side ([`CHUNK`]), so that nothing depends on the size of an image.
//!
//! The forward pass and the input gradient ([`correlate`]) go through a batch in blocks of tiles that stay in a second-level
//! cache with their products. The weight gradient ([`weight_gradient`]) sums over tiles instead of channels.
//!
//! # Accuracy
//!
//! The points 0, +-5/8, +-11/8 and infinity keep the matrices of the transforms well conditioned. Against the exact sum, an
//! output (a tap of the weight gradient) is off by less than 4e-6 times the largest sum of absolute products of any output of its
//! tile (any tap of its kernel): measured, 4e-7 at most with 64 channels, and in the mean twice what summing directly loses. The usual
//! points 0, +-1, +-2 lose four times as much. Tests hold all of this to the bound.

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

/// Outputs of a tile along each axis.
const TILE: usize = 4;
/// Inputs of a patch along each axis.
const PATCH: usize = 6;
/// Products of a tile.
const POINTS: usize = PATCH * PATCH;
const TAPS: usize = 9;
/// Channels that lie side by side.
const CHUNK: usize = 16;
/// Tiles of a block, about: few enough that what is made of them stays in a second-level cache.
const BLOCK_TILES: usize = 64;

/// Sizes of a correlation over one group of channels: what the forward pass reads, the input gradient makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub batch: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Size of what is read.
    pub height: usize,
    pub width: usize,
    /// Zeros above and to the left of it.
    pub padding: usize,
    /// Size of what is made.
    pub out_height: usize,
    pub out_width: usize,
}

/// Some tile rows of one image, or all of some images.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    images: Range<usize>,
    rows: Range<usize>,
}

impl Plan {
    /// The forward pass, where the kernel is one of these.
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

    /// The input gradient, likewise.
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
        (p.kernel_height, p.kernel_width, p.stride, p.dilation, p.groups) == (3, 3, 1, 1, 1) && p.padding <= 2
    }

    /// Whether this takes less time than summing directly, counted in multiplications; transforms count as measured.
    pub(super) fn pays(&self) -> bool {
        let padded = |channels: usize| channels.div_ceil(CHUNK) * CHUNK;
        let tiles = (self.tiles_down() * self.tiles_across()) as f64;
        let (inputs, outputs) = (padded(self.in_channels) as f64, padded(self.out_channels) as f64);
        let products = tiles * POINTS as f64 * inputs * outputs;
        let transforms = tiles * (inputs + outputs) * TRANSFORM_COST;
        let direct = (self.out_height * self.out_width * TAPS) as f64 * (self.in_channels * self.out_channels) as f64;
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

    /// Images of a block: at least one, and so many that there are a few blocks.
    fn block_images(&self) -> usize {
        const BLOCKS: usize = 8;
        let tiles = self.tiles_down() * self.tiles_across();
        (BLOCK_TILES / tiles).min(self.batch.div_ceil(BLOCKS)).max(1)
    }

    /// The blocks of some images, as even as can be.
    fn blocks(&self, images: Range<usize>) -> Vec<Block> {
        let tiles = images.len() * self.tiles_down() * self.tiles_across();
        let parts = match images.len() {
            1 => tiles.div_ceil(BLOCK_TILES).min(self.tiles_down()),
            _ => 1,
        };
        let cut = |part: usize| part * self.tiles_down() / parts;
        (0..parts).map(|part| Block { images: images.clone(), rows: cut(part)..cut(part + 1) }).collect()
    }

    fn tiles(&self, block: &Block) -> usize {
        block.images.len() * block.rows.len() * self.tiles_across()
    }

    /// Tiles of the largest block, rounded up to whole groups of rows of a matrix product.
    fn block_capacity(&self, blocks: &[Block]) -> usize {
        blocks.iter().map(|block| self.tiles(block)).max().unwrap_or(0).next_multiple_of(product::ROWS)
    }
}

/// Multiplications that transforming a tile of one channel costs, both ways together.
const TRANSFORM_COST: f64 = 250.0;

/// Where the evaluations of some tiles lie: `[point][chunk of channels][tile][channel]`.
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

    /// Floats from one point to the next: not a multiple of what the sets of a cache divide.
    fn point(&self) -> usize {
        self.chunks * self.chunk() + CHUNK
    }

    fn len(&self) -> usize {
        POINTS * self.point()
    }
}
