//! Bilinear sampling of all channels of an image at individual points.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::arguments::{image_sizes, stored_kind};
use crate::bilinear::Grid;
use candle_core::{Result, Tensor};
use cpu::GridSample;

const OP: &str = "grid_sample";

/// Samples all channels, `[batch, channels, points]`, of `features` `[batch, channels, height,
/// width]` at `positions` `[batch, points, 2]`.
///
/// A position is (x, y). With `align_corners`, -1 and 1 are the centers of the border pixels;
/// otherwise their outer edges. Beyond the centers of the border pixels, their values are repeated,
/// and the position has no gradient along that axis, as in PyTorch's `grid_sample` with border
/// padding. Differentiable in both arguments; gradients are computed only on request.
///
/// ```
/// use brainprior_kernels::grid_sample;
/// use candle_core::{Device, Tensor};
///
/// let row = Tensor::new(&[[[[1f32, 2.0, 4.0]]]], &Device::Cpu)?;
/// let halfway = Tensor::new(&[[[0.5f32, 0.0]]], &Device::Cpu)?;
/// assert_eq!(grid_sample(&row, &halfway, true)?.to_vec3::<f32>()?, [[[3.0]]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// Returns [`Error`] if ranks, sizes or types do not match.
pub fn grid_sample(features: &Tensor, positions: &Tensor, align_corners: bool) -> Result<Tensor> {
    stored_kind(OP, &[("features", features)], &[("positions", positions)])?;
    let [batch, channels, height, width] = image_sizes(OP, "features", features)?;
    let points = match *positions.dims() {
        [images, points, 2] if images == batch && points > 0 => points,
        _ => {
            return Err(Error::Shape {
                op: OP,
                argument: "positions",
                expected: format!("[{batch}, points, 2], at least one point"),
                found: positions.dims().to_vec(),
                remedy: "give (x, y) for each point of each image",
            }
            .into());
        }
    };
    #[cfg(feature = "cuda")]
    if features.device().is_cuda() {
        return cuda::grid_sample(features, positions, align_corners);
    }
    let op = GridSample { batch, channels, points, grid: Grid { height, width, align_corners } };
    features.contiguous()?.apply_op2(&positions.contiguous()?, op)
}
