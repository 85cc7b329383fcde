//! Two-dimensional convolution (cross-correlation, as in every deep-learning library) with exact
//! gradients.

use candle_core::{Result, Tensor};

pub(crate) use cpu::{Convolution, Finish, MixedConvolution, NormalizedConvolution};

#[allow(clippy::too_many_arguments, reason = "inner loops take their operands separately")]
mod cpu;
#[allow(clippy::too_many_arguments, reason = "choosing an algorithm takes several closures")]
#[cfg(feature = "cuda")]
mod cuda;
mod problem;
#[cfg(test)]
mod reference;

/// How a kernel moves over the image; the same along both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dGeometry {
    /// Input pixels between neighboring outputs, at least 1.
    pub stride: usize,
    /// Rows and columns of zeros added on each of the four sides.
    pub padding: usize,
    /// Input pixels between neighboring taps of a kernel, at least 1.
    pub dilation: usize,
    /// Number of independent channel groups; one group per channel makes the convolution depthwise.
    pub groups: usize,
}

impl Default for Conv2dGeometry {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// Convolves `x` `[batch, in channels, height, width]` with `weight` `[out channels, in channels /
/// groups, kernel height, kernel width]`, both `f32`, to `[batch, out channels, out height, out
/// width]`, where `out = (size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded
/// down.
///
/// Differentiable in both arguments; gradients are computed only on request. On the CPU, the result
/// and the gradients have the same bits for any number of threads; on CUDA devices, cuDNN computes
/// them.
///
/// # Errors
///
/// Returns [`crate::Error`] if ranks are wrong, dimensions are empty, channels do not match, a
/// kernel is wider than the padded image, a type is not `f32`, arguments are on different devices,
/// or sizes overflow.
pub fn conv2d(x: &Tensor, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Tensor> {
    let op = Convolution::new(x, weight, geometry)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return cuda::conv2d(op.problem(), x, weight);
    }
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}
