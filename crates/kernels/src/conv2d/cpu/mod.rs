//! No im2col. Each thread copies an image with its padding ([`padded_image`]), and kernels read
//! every tap from there. The forward pass and the input gradient are the same computation
//! ([`correlation`]), with two families of kernels: lanes are neighboring outputs if rows fill a
//! vector ([`rows`]), and output channels otherwise ([`pixels`]). The weight gradient sums over
//! pixels with output channels as lanes ([`weight_gradient::channels`]), or with pixels as lanes if
//! there are few channels ([`weight_gradient::pixels`]). 3 x 3 kernels with stride 1 use a Winograd
//! transform with a quarter of the products, if there are enough channels ([`winograd`]). Threads
//! divide outputs, or chunks of images that do not depend on the number of threads, so results do
//! not either.

mod batch;
mod correlation;
mod finish;
mod mixed;
mod normalized;
mod pack;
mod padded_image;
mod pixels;
mod rows;
mod scratch;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod winograd;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::Conv2dGeometry;
use super::problem::{OP, Problem};
use crate::arguments::{contiguous, stored_kind};
use crate::simd::Isa;
use correlation::Correlation;
pub(crate) use finish::Finish;
use finish::Finished;
pub(crate) use mixed::MixedConvolution;
pub(crate) use normalized::NormalizedConvolution;
use pack::WeightOrder;
use winograd::Plan;

/// `(x, weight) -> y`
pub(crate) struct Convolution(Problem);

impl Convolution {
    #[cfg(feature = "cuda")]
    pub(super) fn problem(&self) -> Problem {
        self.0
    }

    /// See [`crate::conv2d`].
    pub(crate) fn new(x: &Tensor, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Self> {
        stored_kind(OP, &[("x", x), ("weight", weight)], &[])?;
        Ok(Self(Problem::new(x.dims(), weight.dims(), geometry)?))
    }

    /// The gradient with respect to x; `dy` and `weight` must be contiguous.
    pub(crate) fn input_gradient(&self, dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
        dy.apply_op2_no_bwd(weight, &InputGradient(self.0))
    }

    /// The gradient with respect to the weight; `x` and `dy` must be contiguous.
    pub(crate) fn weight_gradient(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        x.apply_op2_no_bwd(dy, &WeightGradient(self.0))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = forward(Isa::active(), &self.0, contiguous(x, xl)?, contiguous(weight, wl)?, None);
        Ok((CpuStorage::F32(y), Shape::from(&self.0.output_dims())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
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

    fn cpu_fwd(
        &self,
        dy: &CpuStorage,
        dyl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dx = input_gradient(
            Isa::active(),
            &self.0,
            contiguous(dy, dyl)?,
            contiguous(weight, wl)?,
            None,
        );
        Ok((CpuStorage::F32(dx), Shape::from(&self.0.input_dims())))
    }
}

/// `(x, dy) -> dweight`
struct WeightGradient(Problem);

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv2d weight gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        dy: &CpuStorage,
        dyl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dw = weight_gradient(Isa::active(), &self.0, contiguous(x, xl)?, contiguous(dy, dyl)?);
        Ok((CpuStorage::F32(dw), Shape::from(&self.0.weight_dims())))
    }
}

fn forward(isa: Isa, p: &Problem, x: &[f32], weight: &[f32], finish: Finished) -> Vec<f32> {
    if let Some(plan) = Plan::forward(p).filter(Plan::pays) {
        return winograd::correlate(isa, &plan, x, weight, forward_order(p), false, finish);
    }
    batch::correlate(isa, &Correlation::forward(p), p.groups, x, weight, forward_order(p), finish)
}

fn forward_order(p: &Problem) -> WeightOrder {
    WeightOrder { out_step: p.group_in() * p.taps(), in_step: p.taps() }
}

fn input_gradient(isa: Isa, p: &Problem, dy: &[f32], weight: &[f32], finish: Finished) -> Vec<f32> {
    if let Some(plan) = Plan::input_gradient(p).filter(Plan::pays) {
        return winograd::correlate(isa, &plan, dy, weight, input_gradient_order(p), true, finish);
    }
    batch::correlate(
        isa,
        &Correlation::input_gradient(p),
        p.groups,
        dy,
        weight,
        input_gradient_order(p),
        finish,
    )
}

/// The input gradient computes the channels that the forward pass sums over, and vice versa.
fn input_gradient_order(p: &Problem) -> WeightOrder {
    WeightOrder { out_step: p.taps(), in_step: p.group_in() * p.taps() }
}

fn weight_gradient(isa: Isa, p: &Problem, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match Plan::forward(p).filter(Plan::pays) {
        Some(plan) => winograd::weight_gradient(isa, &plan, x, dy),
        None => weight_gradient::weight_gradient(isa, p, x, dy),
    }
}
