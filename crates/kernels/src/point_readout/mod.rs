//! The readout of a response model: each neuron reads all channels at one point, by bilinear
//! interpolation, and weights them.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod reference;

use candle_core::{Result, Tensor};
pub(crate) use cpu::{PointReadout, Wanted};

const OP: &str = "point_readout";

/// Value of each neuron, `[batch, neurons]`: `features` `[batch, channels, height, width]` sampled
/// at `positions` `[batch, neurons, 2]`, times `weights` `[neurons, channels]`, summed over
/// channels.
///
/// A position is (x, y); -1 and 1 are the outer edges of the first and last pixel (`align_corners =
/// false`), and beyond the centers of the border pixels their values are repeated. Differentiable
/// in all three; a position that is clamped by the border has no gradient along that axis, as in
/// PyTorch's `grid_sample` with border padding.
///
/// # Errors
/// Returns [`crate::Error`] if ranks, sizes or types do not match.
pub fn point_readout(features: &Tensor, positions: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let op = PointReadout::new(features, positions, weights)?;
    #[cfg(feature = "cuda")]
    if features.device().is_cuda() {
        return cuda::point_readout(features, positions, weights);
    }
    features.contiguous()?.apply_op3(&positions.contiguous()?, &weights.contiguous()?, op)
}
