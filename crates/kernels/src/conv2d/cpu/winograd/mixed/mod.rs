//! The same in mixed precision: evaluations are made in f32 from bfloat16 and rounded to it, products are summed in f32, and what
//! is interpolated in f32 is rounded.
//!
//! # Accuracy
//!
//! Let u = 2^-8, and rows of the matrices of [`super::points`] be taken by magnitude. An output is a sum over points of A (G g) (B^T d) A^T,
//! both factors off by a part of u: so it is off by at most (2 u + u^2) times |A|^T (|G| |g| |G|^T) (|B|^T |d| |B|) |A|, which the tests
//! compute for each output, besides its own rounding. Errors of different channels and points are independent: with normal
//! operands, the root mean square is 0.9 to 1.4% of that of the outputs (0.23% if summed directly and rounded).

#[cfg(test)]
mod bounds;
mod correlate;
mod evaluate;
mod transforms;
mod weight_gradient;

#[cfg(test)]
pub(in super::super) use bounds::bounds;
pub(in super::super) use correlate::correlate;
pub(in super::super) use weight_gradient::weight_gradient;

use super::{Block, CHUNK, PATCH, POINTS, Plan, TAPS, TILE};

/// Where the evaluations of some tiles lie, in numbers: `[point][chunk of channels][tile][channel]`, or pairs of tiles and their
/// channels.
#[derive(Debug, Clone, Copy)]
struct Layout {
    chunks: usize,
    tiles: usize,
}

impl Layout {
    fn chunk(&self) -> usize {
        self.tiles * CHUNK
    }

    /// Not a multiple of what the sets of a cache divide.
    fn point(&self) -> usize {
        self.chunks * self.chunk() + 2 * CHUNK
    }

    fn len(&self) -> usize {
        POINTS * self.point()
    }
}
