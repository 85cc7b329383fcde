//! Batch normalisation in one pass with what follows it: an optional residual, then the activation.
//!
//! y = activation((x - mean) / sqrt(variance + eps) * scale + shift + residual), statistics over batch and space of each
//! channel. Channels are independent, so that threads share them and never a sum.

mod backward;
mod forward;

use crate::Error;
use crate::arguments::{contiguous, has_shape, image_sizes, same_kind, with_elements};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};
use std::sync::{Arc, OnceLock};

/// The nonlinearity behind the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// max(0, z).
    Relu,
    /// z for z > 0, exp(z) - 1 below.
    Elu,
}

impl Activation {
    #[inline(always)]
    fn apply(self, z: f32) -> f32 {
        match self {
            Self::Identity => z,
            Self::Relu => z.max(0.0),
            Self::Elu if z > 0.0 => z,
            Self::Elu => z.exp_m1(),
        }
    }

    /// The derivative, from the activation's own value.
    #[inline(always)]
    fn slope(self, y: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => f32::from(y > 0.0),
            Self::Elu if y > 0.0 => 1.0,
            Self::Elu => y + 1.0,
        }
    }
}

/// Statistics of one batch, for the caller's running averages.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// Mean of each channel, `[channels]`.
    pub mean: Tensor,
    /// Biased variance of each channel, `[channels]`.
    pub variance: Tensor,
    /// Values that went into each: batch times height times width.
    pub count: usize,
}

/// Mean and 1 / sqrt(variance + eps) of each channel, as the normalisation uses them, and the variance itself.
struct Moments {
    mean: Vec<f32>,
    inverse_deviation: Vec<f32>,
    variance: Vec<f32>,
}

/// Sizes of the input.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    channels: usize,
    area: usize,
    dims: [usize; 4],
}

#[derive(Clone)]
struct BatchNorm {
    sizes: Sizes,
    activation: Activation,
    eps: f64,
    /// Whether the moments are those of the batch, so that the gradient flows through them.
    training: bool,
    moments: Arc<OnceLock<Moments>>,
}

const OP: &str = "batch_norm";

/// Normalises `x` `[batch, channels, height, width]` by its own statistics; `scale` and `shift` are `[channels]`,
/// `residual` has the shape of `x`. Differentiable in all four.
///
/// # Errors
/// Ranks, channels or kinds that do not fit (see [`Error`]).
pub fn batch_norm_train(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    residual: Option<&Tensor>,
    activation: Activation,
    eps: f64,
) -> Result<(Tensor, BatchStatistics)> {
    let sizes = check(x, &[("scale", scale), ("shift", shift)], residual)?;
    let op = BatchNorm { sizes, activation, eps, training: true, moments: Arc::default() };
    let moments = op.moments.clone();
    let y = apply(op, x, scale, shift, residual)?;
    let Some(Moments { mean, variance, .. }) = moments.get() else {
        candle_core::bail!("{OP}: the forward pass did not keep its statistics")
    };
    let statistics = BatchStatistics {
        mean: Tensor::from_slice(mean, mean.len(), &Device::Cpu)?,
        variance: Tensor::from_slice(variance, variance.len(), &Device::Cpu)?,
        count: sizes.batch * sizes.area,
    };
    Ok((y, statistics))
}

/// Normalises `x` by given statistics (`mean` and `variance`, `[channels]`, no gradient); otherwise as
/// [`batch_norm_train`].
///
/// # Errors
/// Ranks, channels or kinds that do not fit (see [`Error`]).
pub fn batch_norm_eval(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    residual: Option<&Tensor>,
    activation: Activation,
    eps: f64,
) -> Result<Tensor> {
    let sizes = check(x, &[("scale", scale), ("shift", shift), ("mean", mean), ("variance", variance)], residual)?;
    let copy = |tensor: &Tensor| with_elements(tensor, |values| Ok(values.to_vec()));
    let (mean, variance) = (copy(mean)?, copy(variance)?);
    let inverse_deviation = variance.iter().map(|variance| inverse_deviation(f64::from(*variance), eps)).collect();
    let moments = Arc::new(OnceLock::from(Moments { mean, inverse_deviation, variance }));
    apply(BatchNorm { sizes, activation, eps, training: false, moments }, x, scale, shift, residual)
}

fn inverse_deviation(variance: f64, eps: f64) -> f32 {
    (1.0 / (variance + eps).sqrt()) as f32
}

fn check(x: &Tensor, by_channel: &[(&'static str, &Tensor)], residual: Option<&Tensor>) -> std::result::Result<Sizes, Error> {
    let mut all = vec![("x", x)];
    all.extend_from_slice(by_channel);
    all.extend(residual.map(|residual| ("residual", residual)));
    same_kind(OP, &all)?;
    let dims = image_sizes(OP, "x", x)?;
    for (argument, tensor) in by_channel {
        has_shape(OP, argument, tensor, &[dims[1]])?;
    }
    if let Some(residual) = residual {
        has_shape(OP, "residual", residual, &dims)?;
    }
    Ok(Sizes { batch: dims[0], channels: dims[1], area: dims[2] * dims[3], dims })
}

fn apply(op: BatchNorm, x: &Tensor, scale: &Tensor, shift: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
    // A custom operation takes three tensors at most: scale and shift travel together.
    let affine = Tensor::stack(&[scale, shift], 0)?;
    let x = x.contiguous()?;
    match residual {
        Some(residual) => x.apply_op3(&affine, &residual.contiguous()?, op),
        None => x.apply_op2(&affine, op),
    }
}

impl CustomOp2 for BatchNorm {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        affine: &CpuStorage,
        affine_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = forward::run(self, contiguous(x, x_layout)?, contiguous(affine, affine_layout)?, None);
        Ok((CpuStorage::F32(y), Shape::from(self.sizes.dims.to_vec())))
    }

    fn bwd(&self, x: &Tensor, affine: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, affine, _] = backward::run(self, x, affine, y, gradient, false)?;
        Ok((x, affine))
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        affine: &CpuStorage,
        affine_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = contiguous(residual, residual_layout)?;
        let y = forward::run(self, contiguous(x, x_layout)?, contiguous(affine, affine_layout)?, Some(residual));
        Ok((CpuStorage::F32(y), Shape::from(self.sizes.dims.to_vec())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        residual: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, affine, residual] = backward::run(self, x, affine, y, gradient, residual.track_op())?;
        Ok((x, affine, residual))
    }
}

#[cfg(test)]
mod tests;
