//! The same in mixed precision: evaluations are made in f32 from bfloat16 and rounded to it, products are summed in f32, and what
//! is interpolated in f32 is rounded.
//!
//! # Accuracy
//!
//! Let u = 2^-8, and rows of the matrices of [`super::points`] be taken by magnitude. An output is a sum over points of A (G g) (B^T d) A^T,
//! both factors off by a part of u: so it is off by at most (2 u + u^2) times |A|^T (|G| |g| |G|^T) (|B|^T |d| |B|) |A|, which the tests
//! compute for each output, besides its own rounding.
//!
//! All together they are far less, since the errors of different channels and points are independent. Rounding a number errs by at most u of it, and
//! as likely by any part of that: its variance is at most u^2 / 3 of the square. So with independent operands of one variance each, the
//! error of an output has at most 2 u^2 / 3 times the sum over channels and points of the squares of A, of an evaluated kernel and of an
//! evaluated patch, which is what the same formula gives with the squares of all matrices. In the middle of an image that is 24.8 times the
//! variance of the output itself (nine products a channel), for weight gradients as well, whose matrices are transposed: **the root mean
//! square of the error is at most sqrt(2 * 24.8 / 3) u = 1.6% of that of the outputs**. At edges, where operands are zero, the tests compute
//! the ratio for the shape at hand, and hold the errors to the limit that follows. Significands are spread over [1, 2), where the same
//! error is a smaller part: that makes 1.1% of 1.6%, which is what is found. (Summed directly and rounded: 0.22%.)

#[cfg(test)]
mod bounds;
mod correlate;
mod evaluate;
mod transforms;
mod weight_gradient;

#[cfg(test)]
pub(in super::super) use bounds::{bounds, variances};
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
