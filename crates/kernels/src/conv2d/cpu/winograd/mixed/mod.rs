//! Winograd in mixed precision: evaluations are computed in f32 from bfloat16 and rounded to
//! bfloat16, products are summed in f32, and results are interpolated in f32 and rounded.
//!
//! # Accuracy
//!
//! Let u = 2^-8, and take the matrices of [`super::points`] by magnitude. An output is a sum over
//! points of A (G g) (B^T d) A^T, where both factors have relative errors of at most u. It is
//! therefore off by at most (2 u + u^2) times |A|^T (|G| |g|
//! G|^T) (|B|^T |d| |B|) |A|, which the tests compute for each output, plus its own rounding.
//!
//! The root mean square error is far smaller, since the errors of different channels and points are
//! independent. The rounding error of a number is spread evenly up to u times its magnitude, so its
//! variance is at most u^2 / 3 of the square. With independent operands of one variance each, the
//! error variance of an output is at most 2 u^2 / 3 times the sum over channels and points of the
//! squares of A, of an evaluated kernel and of an evaluated patch, which is the same formula with
//! the squares of all matrices. In the interior of an image that is 24.8 times the variance of the
//! output itself (nine products per channel), also for weight gradients, whose matrices are
//! transposed: **the root mean square error is at most sqrt(2 * 24.8 / 3) u = 1.6% of the
//! outputs**. At edges, where operands are zero, the tests compute the ratio for the given shape
//! and check the resulting limit. Significands are spread over [1, 2), where the same error is
//! relatively smaller: this reduces 1.6% to 1.1%, which agrees with the measurements. (Direct
//! summation with rounding: 0.22%.)

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

/// Layout of the evaluations of some tiles in numbers: `[point][chunk of channels][tile][channel]`,
/// or pairs of tiles and their channels.
#[derive(Debug, Clone, Copy)]
struct Layout {
    chunks: usize,
    tiles: usize,
}

impl Layout {
    fn chunk(&self) -> usize {
        self.tiles * CHUNK
    }

    /// Padded to avoid cache set conflicts.
    fn point(&self) -> usize {
        self.chunks * self.chunk() + 2 * CHUNK
    }

    fn len(&self) -> usize {
        POINTS * self.point()
    }
}
