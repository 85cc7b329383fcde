//! Two-dimensional convolution (cross-correlation, as in every deep-learning library) with exact gradients.
//!
//! Nothing is laid out for a general matrix product. Images are copied with their padding, one per thread at a time
//! ([`frame`]), and kernels read them from there for every tap. The forward pass and the input gradient are the same
//! computation ([`correlation`]), by one of two families of kernels: lanes are neighbouring outputs where rows fill a vector
//! ([`rows`]), and output channels where they do not ([`pixels`]). The weight gradient sums over pixels with output
//! channels as lanes ([`tap_sums`]), or pixels where there are few ([`plane_sums`]). Kernels of 3 x 3 and stride 1 go through a
//! transform that needs a quarter of the products, where there are channels enough ([`winograd`]). Threads share outputs, or chunks of images
//! that do not depend on their number, so that results do not either.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::arguments::{contiguous, stored_kind};
use crate::simd::Isa;
use correlation::Correlation;
use pack::WeightOrder;
use problem::OP;
pub(crate) use problem::Problem;
use winograd::Plan;

mod correlation;
mod frame;
mod pack;
mod pass;
mod pixels;
mod plane_sums;
mod problem;
#[cfg(test)]
mod reference;
mod rows;
mod scratch;
mod tap_sums;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod winograd;

/// How a kernel moves over the image; the same along both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dGeometry {
    /// Input pixels between neighbouring outputs, at least 1.
    pub stride: usize,
    /// Rows and columns of zeros added on each of the four sides.
    pub padding: usize,
    /// Input pixels between neighbouring taps of a kernel, at least 1.
    pub dilation: usize,
    /// Groups of channels that do not see each other; as many as channels make it depthwise.
    pub groups: usize,
}

impl Default for Conv2dGeometry {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// Convolves `x` `[batch, in channels, height, width]` with `weight` `[out channels, in channels / groups, kernel height, kernel
/// width]`, both `f32`, to `[batch, out channels, out height, out width]`, where `out = (size + 2 padding - dilation (kernel - 1) - 1) /
/// stride + 1`, rounded down.
///
/// Differentiable in both arguments; a gradient is computed only where one is asked for. On the CPU, the result and the gradients
/// are the same to the last bit for any number of threads; on CUDA devices cuDNN convolves.
///
/// # Errors
///
/// [`crate::Error`] for wrong ranks, empty dimensions, channels that do not fit, kernels wider than the padded image, other
/// types than `f32`, arguments on different devices, and sizes that overflow.
pub fn conv2d(x: &Tensor, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Tensor> {
    let op = Convolution::new(x, weight, geometry)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return crate::cuda::convolution::conv2d(op.0, x, weight);
    }
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}

/// `(x, weight) -> y`
pub(crate) struct Convolution(Problem);

impl Convolution {
    /// See [`conv2d`].
    pub(crate) fn new(x: &Tensor, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Self> {
        stored_kind(OP, &[("x", x), ("weight", weight)], &[])?;
        Ok(Self(Problem::new(x.dims(), weight.dims(), geometry)?))
    }

    /// The gradient with respect to x; `dy` and `weight` are contiguous.
    pub(crate) fn input_gradient(&self, dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
        dy.apply_op2_no_bwd(weight, &InputGradient(self.0))
    }

    /// The gradient with respect to the weight; `x` and `dy` are contiguous.
    pub(crate) fn weight_gradient(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(dy, &WeightGradient(self.0))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, weight: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = forward(Isa::active(), &self.0, contiguous(x, xl)?, contiguous(weight, wl)?);
        Ok((CpuStorage::F32(y), Shape::from(&self.0.output_dims())))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let dx = x.track_op().then(|| self.input_gradient(&dy, weight)).transpose()?;
        let dw = weight.track_op().then(|| self.weight_gradient(x, &dy)).transpose()?;
        Ok((dx, dw))
    }
}

/// `(dy, weight) -> dx`
struct InputGradient(Problem);

impl CustomOp2 for InputGradient {
    fn name(&self) -> &'static str {
        "conv2d input gradient"
    }

    fn cpu_fwd(&self, dy: &CpuStorage, dyl: &Layout, weight: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let dx = input_gradient(Isa::active(), &self.0, contiguous(dy, dyl)?, contiguous(weight, wl)?);
        Ok((CpuStorage::F32(dx), Shape::from(&self.0.input_dims())))
    }
}

/// `(x, dy) -> dweight`
struct WeightGradient(Problem);

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv2d weight gradient"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, dy: &CpuStorage, dyl: &Layout) -> Result<(CpuStorage, Shape)> {
        let dw = weight_gradient(Isa::active(), &self.0, contiguous(x, xl)?, contiguous(dy, dyl)?);
        Ok((CpuStorage::F32(dw), Shape::from(&self.0.weight_dims())))
    }
}

fn forward(isa: Isa, p: &Problem, x: &[f32], weight: &[f32]) -> Vec<f32> {
    if let Some(plan) = Plan::forward(p).filter(Plan::pays) {
        return winograd::correlate(isa, &plan, x, weight, forward_order(p), false);
    }
    pass::correlate(isa, &Correlation::forward(p), p.groups, x, weight, forward_order(p))
}

fn forward_order(p: &Problem) -> WeightOrder {
    WeightOrder { out_step: p.group_in() * p.taps(), in_step: p.taps() }
}

fn input_gradient(isa: Isa, p: &Problem, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    if let Some(plan) = Plan::input_gradient(p).filter(Plan::pays) {
        return winograd::correlate(isa, &plan, dy, weight, input_gradient_order(p), true);
    }
    pass::correlate(isa, &Correlation::input_gradient(p), p.groups, dy, weight, input_gradient_order(p))
}

/// What the forward pass sums over, the input gradient makes, and the other way around.
fn input_gradient_order(p: &Problem) -> WeightOrder {
    WeightOrder { out_step: p.taps(), in_step: p.group_in() * p.taps() }
}

fn weight_gradient(isa: Isa, p: &Problem, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match Plan::forward(p).filter(Plan::pays) {
        Some(plan) => winograd::weight_gradient(isa, &plan, x, dy),
        None => weight_gradient::weight_gradient(isa, p, x, dy),
    }
}
