//! Convolutions in mixed precision: operands in bfloat16, sums in f32.
//!
//! Sixteen channels are contiguous ([`crate::mixed`]), so the pairs that `vdpbf16ps` multiplies are
//! pairs of channels of a pixel as stored, and a vector of sums is sixteen output channels of one
//! pixel. Weight gradients sum over pixels; there, pairs are neighboring outputs, which are
//! interleaved once for all taps.
//!
//! The algorithms are the three of f32 ([`super`]): direct sums over taps ([`direct`],
//! [`weight_gradient`]) and, for 3 x 3 kernels with stride 1, the transform of [`super::winograd`],
//! whose evaluations are rounded to bfloat16. If the processor has AMX tiles, all sums are computed
//! directly over taps with them ([`tiles`]).
//!
//! # Accuracy
//!
//! Let u = 2^-8: the spacing of bfloat16 numbers in [1, 2) is 2^-7, and rounding errs by at most
//! half of that. For bfloat16 operands and sums of n products in f32, a directly summed result
//! differs from the exact sum by at most n 2^-24 times the sum of the magnitudes of its products,
//! plus u times its own magnitude for rounding the result (except for the weight gradient, which
//! stays f32). Weights, which are f32, are rounded first, which adds u times the sum of magnitudes.

mod direct;
pub(super) mod dots;
mod padded;
pub(super) mod pair_sums;
#[cfg(test)]
mod tests;
#[cfg(any(test, target_arch = "x86_64"))]
mod tiles;
mod weight_gradient;

use candle_core::{Device, Result, Tensor};

use super::super::Conv2dGeometry;
use super::super::problem::Problem;
use super::correlation::Correlation;
use super::winograd::{self, Plan};
use super::{forward_order, input_gradient_order};
use crate::arguments::{same_kind, with_elements};
use crate::mixed::{Sizes, with_numbers};
use crate::simd::Isa;
#[cfg(target_arch = "x86_64")]
use crate::simd::tiles::Amx;

/// A convolution of images in chunks with an f32 weight, and its gradients.
pub(crate) struct MixedConvolution(Problem);

impl MixedConvolution {
    /// See [`crate::conv2d`]; supports a single group of channels.
    pub(crate) fn new(x: &Sizes, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Self> {
        same_kind(super::OP, &[("weight", weight)])?;
        Ok(Self(Problem::new(&x.dims(), weight.dims(), geometry)?))
    }

    /// The sizes of the result.
    pub(crate) fn output(&self) -> Sizes {
        Sizes::new(self.0.output_dims())
    }

    pub(crate) fn forward(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let y = with_numbers(x, |x| {
            with_elements(weight, |weight| Ok(forward(Isa::active(), &self.0, x, weight)))
        })?;
        self.output().tensor(y)
    }

    /// The gradient with respect to x.
    pub(crate) fn input_gradient(&self, dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let dx = with_numbers(dy, |dy| {
            with_elements(weight, |weight| Ok(input_gradient(Isa::active(), &self.0, dy, weight)))
        })?;
        Sizes::new(self.0.input_dims()).tensor(dx)
    }

    /// The gradient with respect to the weight, as f32.
    pub(crate) fn weight_gradient(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let dw = with_numbers(x, |x| {
            with_numbers(dy, |dy| Ok(weight_gradient(Isa::active(), &self.0, x, dy)))
        })?;
        Tensor::from_vec(dw, &self.0.weight_dims(), &Device::Cpu)
    }
}

fn forward(isa: Isa, p: &Problem, x: &[u16], weight: &[f32]) -> Vec<u16> {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        // SAFETY: the level was detected.
        return unsafe {
            tiles::correlate::<Amx>(&Correlation::forward(p), x, weight, forward_order(p))
        };
    }
    if let Some(plan) = Plan::forward(p).filter(Plan::pays) {
        return winograd::mixed::correlate(isa, &plan, x, weight, forward_order(p), false);
    }
    direct::correlate(isa, &Correlation::forward(p), x, weight, forward_order(p))
}

fn input_gradient(isa: Isa, p: &Problem, dy: &[u16], weight: &[f32]) -> Vec<u16> {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        // SAFETY: the level was detected.
        return unsafe {
            tiles::correlate::<Amx>(
                &Correlation::input_gradient(p),
                dy,
                weight,
                input_gradient_order(p),
            )
        };
    }
    if let Some(plan) = Plan::input_gradient(p).filter(Plan::pays) {
        return winograd::mixed::correlate(isa, &plan, dy, weight, input_gradient_order(p), true);
    }
    direct::correlate(isa, &Correlation::input_gradient(p), dy, weight, input_gradient_order(p))
}

fn weight_gradient(isa: Isa, p: &Problem, x: &[u16], dy: &[u16]) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        // SAFETY: the level was detected.
        return unsafe { tiles::weight_gradient::<Amx>(isa, p, x, dy) };
    }
    if let Some(plan) = Plan::forward(p).filter(Plan::pays) {
        return winograd::mixed::weight_gradient(isa, &plan, x, dy);
    }
    weight_gradient::weight_gradient(isa, p, x, dy)
}
