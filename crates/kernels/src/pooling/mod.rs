//! Averages over windows of an image.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::arguments::{image_sizes, stored_kind};
use candle_core::{Result, Tensor};
pub(crate) use cpu::Pooling;

/// Mean over blocks of `factor` x `factor` pixels; blocks that extend beyond the image average the
/// pixels inside. Maps `[batch, channels, height, width]` to `[batch, channels, ceil(height /
/// factor), ceil(width / factor)]`.
///
/// # Errors
/// Returns an error if the rank is not 4, there are no pixels, or the factor is 0.
pub fn area_pool(x: &Tensor, factor: usize) -> Result<Tensor> {
    let op = Pooling::area(x, factor)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return cuda::pool(op.name, x, op.out, factor, factor);
    }
    x.contiguous()?.apply_op1(op)
}

/// Mean over windows of `kernel` x `kernel` pixels, `stride` apart, that lie completely within the
/// image (like PyTorch's `avg_pool2d` without padding).
///
/// # Errors
/// Returns an error if the rank is not 4, a window is larger than the image, or a kernel or stride
/// is 0.
pub fn average_pool(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let op = Pooling::average(x, kernel, stride)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return cuda::pool(op.name, x, op.out, kernel, stride);
    }
    x.contiguous()?.apply_op1(op)
}

fn checked(
    op: &'static str,
    x: &Tensor,
    parameters: &[(&'static str, usize)],
) -> std::result::Result<[usize; 4], Error> {
    stored_kind(op, &[("x", x)], &[])?;
    for (parameter, value) in parameters {
        if *value == 0 {
            return Err(Error::Parameter {
                op,
                parameter,
                expected: "at least 1".into(),
                found: "0".into(),
            });
        }
    }
    image_sizes(op, "x", x)
}
