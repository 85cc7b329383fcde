//! The candle operation, forward and backward, for batch statistics and for given ones.

mod backward;
mod finish;
mod forward;

pub(crate) use finish::{Lines, Merged, Normalization, before_activation};
pub(crate) use forward::add_values;

use super::{Activation, BatchStatistics, FixedStatistics, OP, check};
use crate::arguments::{contiguous, with_elements};
use crate::channels::Groups;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};
use std::sync::{Arc, OnceLock};

/// Mean and 1 / sqrt(variance + eps) of each channel, as the normalization uses them, and the
/// variance itself.
pub(super) struct Moments {
    pub(super) mean: Vec<f32>,
    pub(super) inverse_deviation: Vec<f32>,
    variance: Vec<f32>,
}

impl Moments {
    pub(super) fn new(mean: Vec<f32>, variance: Vec<f32>, eps: f64) -> Self {
        let inverse_deviation =
            variance.iter().map(|variance| inverse_deviation(f64::from(*variance), eps)).collect();
        Self { mean, inverse_deviation, variance }
    }
}

/// Sizes of the input.
#[derive(Clone, Copy)]
struct Sizes {
    dims: [usize; 4],
}

impl Sizes {
    fn groups(&self) -> Groups {
        let [batch, channels, height, width] = self.dims;
        Groups { batch, channels, area: height * width }
    }
}

pub(crate) struct BatchNorm {
    sizes: Sizes,
    activation: Activation,
    eps: f64,
    /// Moments given by the caller, without gradients; `None` if they are those of the batch.
    given: Option<Box<Moments>>,
    /// The moments of the batch, set by the forward pass.
    found: Arc<OnceLock<Moments>>,
}

/// Moments over `count` values that a forward pass will compute.
pub(crate) struct Found {
    moments: Arc<OnceLock<Moments>>,
    count: usize,
}

impl Found {
    pub(super) fn new(moments: Arc<OnceLock<Moments>>, count: usize) -> Self {
        Self { moments, count }
    }

    /// The statistics, after the forward pass.
    pub(crate) fn statistics(&self) -> Result<BatchStatistics> {
        let Moments { mean, variance, .. } =
            self.moments.get().expect("the forward pass has found them");
        Ok(BatchStatistics {
            mean: Tensor::from_slice(mean, mean.len(), &Device::Cpu)?,
            variance: Tensor::from_slice(variance, variance.len(), &Device::Cpu)?,
            count: self.count,
        })
    }
}

impl BatchNorm {
    /// See [`crate::batch_norm_train`].
    pub(crate) fn training(
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        residual: Option<&Tensor>,
        activation: Activation,
        eps: f64,
    ) -> Result<Self> {
        let sizes = Sizes { dims: check(x, eps, &[("scale", scale), ("shift", shift)], residual)? };
        Ok(Self { sizes, activation, eps, given: None, found: Arc::default() })
    }

    /// See [`crate::batch_norm_eval`].
    pub(crate) fn evaluation(
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        statistics: FixedStatistics,
        residual: Option<&Tensor>,
        activation: Activation,
    ) -> Result<Self> {
        let FixedStatistics { mean, variance, eps } = statistics;
        let dims = check(x, eps, &statistics.with(scale, shift), residual)?;
        let copy = |tensor: &Tensor| with_elements(tensor, |values| Ok(values.to_vec()));
        let given = Some(Box::new(Moments::new(copy(mean)?, copy(variance)?, eps)));
        Ok(Self { sizes: Sizes { dims }, activation, eps, given, found: Arc::default() })
    }

    pub(crate) fn found(&self) -> Found {
        let Groups { batch, area, .. } = self.sizes.groups();
        Found::new(Arc::clone(&self.found), batch * area)
    }

    /// The requested gradients with respect to x, scale and shift (stacked), and the residual; the
    /// gradient of y is the sum of `gradients`.
    pub(crate) fn gradients(
        &self,
        x: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        gradients: &[Tensor],
        wanted: [bool; 3],
    ) -> Result<[Option<Tensor>; 3]> {
        backward::run(self, x, affine, y, gradients, wanted)
    }

    fn moments(&self) -> Option<&Moments> {
        self.given.as_deref().or_else(|| self.found.get())
    }
}

fn inverse_deviation(variance: f64, eps: f64) -> f32 {
    (1.0 / (variance + eps).sqrt()) as f32
}

pub(super) fn apply(
    op: BatchNorm,
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    // A custom operation takes at most three tensors, so scale and shift are stacked.
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
        let y =
            forward::run(self, contiguous(x, x_layout)?, contiguous(affine, affine_layout)?, None);
        Ok((CpuStorage::F32(y), Shape::from(self.sizes.dims.to_vec())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted = [x.track_op(), affine.track_op(), false];
        let [x, affine, _] =
            self.gradients(x, affine, y, std::slice::from_ref(gradient), wanted)?;
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
        let y = forward::run(
            self,
            contiguous(x, x_layout)?,
            contiguous(affine, affine_layout)?,
            Some(residual),
        );
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
        let wanted = [x.track_op(), affine.track_op(), residual.track_op()];
        let [x, affine, residual] =
            self.gradients(x, affine, y, std::slice::from_ref(gradient), wanted)?;
        Ok((x, affine, residual))
    }
}
