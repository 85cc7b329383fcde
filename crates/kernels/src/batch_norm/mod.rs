//! Batch normalization fused with an optional residual and the activation.
//!
//! y = activation((x - mean) / sqrt(variance + eps) * scale + shift + residual), with statistics
//! over batch and space per channel. Channels are independent; threads divide channels, never sums.
//! Sums are f32 over short stretches and f64 over those.

mod activation;
#[allow(clippy::too_many_arguments, reason = "inner loops take their operands separately")]
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod mixed;
#[allow(clippy::too_many_arguments, reason = "the definition names everything it depends on")]
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::arguments::{has_shape, image_sizes, stored_kind};
use candle_core::{Result, Tensor};
use cpu::apply;
pub(crate) use cpu::{BatchNorm, Lines, Merged, Normalization, add_values, before_activation};
pub(crate) use mixed::MixedBatchNorm;

const OP: &str = "batch_norm";

/// The nonlinearity after the normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// max(0, z).
    Relu,
    /// z for z > 0, exp(z) - 1 below.
    Elu,
}

/// Statistics of one batch, for the caller's running averages.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// Mean of each channel, `[channels]`.
    pub mean: Tensor,
    /// Biased variance of each channel, `[channels]`.
    pub variance: Tensor,
    /// Number of values in each: batch x height x width.
    pub count: usize,
}

/// Given statistics, such as running averages; they receive no gradient.
#[derive(Clone, Copy, Debug)]
pub struct FixedStatistics<'a> {
    /// Mean of each channel, `[channels]`.
    pub mean: &'a Tensor,
    /// Variance of each channel, `[channels]`.
    pub variance: &'a Tensor,
    /// Added to the variances.
    pub eps: f64,
}

/// A batch norm that is an affine map of each channel.
#[derive(Clone, Copy, Debug)]
pub struct FixedBatchNorm<'a> {
    /// Standard deviation of each normalized channel, `[channels]`.
    pub scale: &'a Tensor,
    /// Mean of each normalized channel, `[channels]`.
    pub shift: &'a Tensor,
    /// What is subtracted and divided by.
    pub statistics: FixedStatistics<'a>,
}

impl FixedBatchNorm<'_> {
    /// All tensors of shape `[channels]`.
    fn tensors(&self) -> [(&'static str, &Tensor); 4] {
        self.statistics.with(self.scale, self.shift)
    }
}

impl FixedStatistics<'_> {
    /// All tensors of shape `[channels]`.
    fn with<'a>(&'a self, scale: &'a Tensor, shift: &'a Tensor) -> [(&'static str, &'a Tensor); 4] {
        [("scale", scale), ("shift", shift), ("mean", self.mean), ("variance", self.variance)]
    }
}

/// Normalizes `x` `[batch, channels, height, width]` by its own statistics; `scale` and `shift` are
/// `[channels]`, and `residual` has the shape of `x`. Differentiable in all four.
///
/// # Errors
/// Returns [`Error`] if ranks, channels or types do not match, or `eps` is not positive.
pub fn batch_norm_train(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    residual: Option<&Tensor>,
    activation: Activation,
    eps: f64,
) -> Result<(Tensor, BatchStatistics)> {
    let op = BatchNorm::training(x, scale, shift, residual, activation, eps)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return cuda::train(x, scale, shift, residual, activation, eps);
    }
    let found = op.found();
    let y = apply(op, x, scale, shift, residual)?;
    Ok((y, found.statistics()?))
}

/// Normalizes `x` by given statistics; otherwise like [`batch_norm_train`].
///
/// # Errors
/// Returns [`Error`] if ranks, channels or types do not match, or `eps` is not positive.
pub fn batch_norm_eval(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    statistics: FixedStatistics,
    residual: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        check(x, statistics.eps, &statistics.with(scale, shift), residual)?;
        return cuda::eval(x, scale, shift, statistics, residual, activation);
    }
    let op = BatchNorm::evaluation(x, scale, shift, statistics, residual, activation)?;
    apply(op, x, scale, shift, residual)
}

fn check(
    x: &Tensor,
    eps: f64,
    by_channel: &[(&'static str, &Tensor)],
    residual: Option<&Tensor>,
) -> std::result::Result<[usize; 4], Error> {
    check_eps(eps)?;
    let mut images = vec![("x", x)];
    images.extend(residual.map(|residual| ("residual", residual)));
    stored_kind(OP, &images, by_channel)?;
    let dims = image_sizes(OP, "x", x)?;
    check_sizes(&dims, by_channel, residual)?;
    Ok(dims)
}

/// Like [`check`] for a value of this shape that does not exist yet.
fn check_operands(
    dims: &[usize; 4],
    norm: &FixedBatchNorm,
    residual: Option<&Tensor>,
) -> std::result::Result<(), Error> {
    check_eps(norm.statistics.eps)?;
    let residual: Vec<_> = residual.map(|residual| ("residual", residual)).into_iter().collect();
    stored_kind(OP, &residual, &norm.tensors())?;
    check_sizes(dims, &norm.tensors(), residual.first().map(|(_, residual)| *residual))
}

fn check_sizes(
    dims: &[usize; 4],
    by_channel: &[(&'static str, &Tensor)],
    residual: Option<&Tensor>,
) -> std::result::Result<(), Error> {
    for (argument, tensor) in by_channel {
        has_shape(OP, argument, tensor, &[dims[1]])?;
    }
    match residual {
        Some(residual) => has_shape(OP, "residual", residual, dims),
        None => Ok(()),
    }
}

fn check_eps(eps: f64) -> std::result::Result<(), Error> {
    if eps > 0.0 && eps.is_finite() {
        return Ok(());
    }
    let expected =
        "positive and finite, so that channels without variance can be normalized".into();
    Err(Error::Parameter { op: OP, parameter: "eps", expected, found: eps.to_string() })
}
