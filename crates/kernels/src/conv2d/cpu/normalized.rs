//! A convolution whose results are normalized by given statistics while they are in the cache.

use candle_core::{Device, Result, Tensor};

use super::super::Conv2dGeometry;
use super::super::problem::{OP, Problem};
use super::{finish::Finish, forward, input_gradient};
use crate::Activation;
use crate::arguments::{stored_kind, with_elements};
use crate::batch_norm::{FixedBatchNorm, Lines, Merged, Normalization};
use crate::simd::Isa;

/// Without gradients of the weight and of the normalization.
pub(crate) struct NormalizedConvolution {
    problem: Problem,
    lines: Lines,
    activation: Activation,
}

impl NormalizedConvolution {
    /// See [`crate::conv2d`] and [`crate::batch_norm_eval`].
    pub(crate) fn new(
        x: &Tensor,
        weight: &Tensor,
        geometry: Conv2dGeometry,
        norm: &FixedBatchNorm,
        residual: Option<&Tensor>,
        activation: Activation,
    ) -> Result<Self> {
        stored_kind(OP, &[("x", x), ("weight", weight)], &[])?;
        let problem = Problem::new(x.dims(), weight.dims(), geometry)?;
        let lines = Lines::new(&problem.output_dims(), norm, residual)?;
        Ok(Self { problem, lines, activation })
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }

    /// The result; arguments must be contiguous.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let p = &self.problem;
        let y = with_elements(x, |x| {
            with_elements(weight, |weight| {
                with_optional(residual, |residual| {
                    let finish =
                        Normalization { lines: &self.lines, residual, activation: self.activation };
                    Ok(forward(Isa::active(), p, x, weight, Some(&finish)))
                })
            })
        })?;
        Tensor::from_vec(y, &p.output_dims(), &Device::Cpu)
    }

    /// The gradient with respect to x, of the gradient before the activation. If x is the
    /// result of a ReLU, `rectified` is x, and the result is the gradient before that ReLU, including
    /// `other`, another gradient of x.
    pub(crate) fn input_gradient(
        &self,
        gradient: &Tensor,
        weight: &Tensor,
        other: Option<&Tensor>,
        rectified: Option<&Tensor>,
    ) -> Result<Tensor> {
        let p = &self.problem;
        // The slope of the normalization is a factor of the kernels of each output channel.
        let weight = with_elements(weight, |weight| {
            let kernels = weight.chunks_exact(p.group_in() * p.taps());
            let scaled = kernels
                .zip(self.lines.slopes())
                .flat_map(|(kernel, slope)| kernel.iter().map(move |tap| tap * slope));
            Ok(scaled.collect::<Vec<f32>>())
        })?;
        let dx = with_elements(gradient, |gradient| {
            with_optional(other, |other| {
                with_optional(rectified, |rectified| {
                    let merged = rectified.map(|rectified| Merged { other, rectified });
                    let finish = merged.as_ref().map(|merged| merged as &dyn Finish);
                    Ok(input_gradient(Isa::active(), p, gradient, &weight, finish))
                })
            })
        })?;
        Tensor::from_vec(dx, &p.input_dims(), &Device::Cpu)
    }
}

/// Calls `work` with the elements of a tensor, if there is one.
fn with_optional<R>(
    tensor: Option<&Tensor>,
    work: impl FnOnce(Option<&[f32]>) -> Result<R>,
) -> Result<R> {
    match tensor {
        Some(tensor) => with_elements(tensor, |values| work(Some(values))),
        None => work(None),
    }
}
