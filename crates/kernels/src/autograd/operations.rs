//! The operations on feature maps in candle's graph: scalars whose backward passes receive
//! gradients and pass them on.

use std::sync::Arc;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor,
};

use super::{Gradients, collected};
use crate::batch_norm::{BatchNorm, MixedBatchNorm};
use crate::conv2d::{Convolution, MixedConvolution, NormalizedConvolution};
use crate::mixed::{self, Sizes};
use crate::point_readout::{PointReadout, Wanted};
use crate::pooling::Pooling;

fn scalar() -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
}

/// Calls `work` with the values behind a scalar.
fn on_cpu<R>(x: &Tensor, work: impl FnOnce(&CpuStorage, &Layout) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(storage, layout),
        _ => candle_core::bail!("a feature map has left the CPU"),
    }
}

/// The gradient of a scalar that stands for a value; it makes candle continue to the value's
/// origin.
fn passed_on<T>(to: &Option<T>) -> Result<Option<Tensor>> {
    to.as_ref().map(|_| Tensor::new(0f32, &Device::Cpu)).transpose()
}

/// `tensor -> scalar`
pub(super) struct Entered(pub Arc<Gradients>);

impl CustomOp1 for Entered {
    fn name(&self) -> &'static str {
        "entered"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        self.0.take_sum().map(Some)
    }
}

/// A convolution in either precision.
pub(super) enum OfConvolution {
    Plain(Convolution),
    Mixed(MixedConvolution),
}

impl OfConvolution {
    fn input_gradient(&self, dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain(op) => op.input_gradient(dy, weight),
            Self::Mixed(op) => op.input_gradient(dy, weight),
        }
    }

    fn weight_gradient(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain(op) => op.weight_gradient(x, dy),
            Self::Mixed(op) => op.weight_gradient(x, dy),
        }
    }
}

/// `(scalar, weight) -> scalar`
pub(super) struct Convolved {
    pub op: OfConvolution,
    pub x: Tensor,
    pub of_x: Option<Arc<Gradients>>,
    pub of_y: Arc<Gradients>,
    /// Sizes of the result in mixed precision.
    pub packed: Option<Sizes>,
}

impl CustomOp2 for Convolved {
    fn name(&self) -> &'static str {
        "convolved"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(
        &self,
        _: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = match &self.packed {
            Some(sizes) => mixed::sum(sizes, &self.of_y.take()?)?,
            None => self.of_y.take_sum()?,
        };
        if let Some(of_x) = &self.of_x {
            of_x.push(self.op.input_gradient(&dy, weight)?);
        }
        let dw = weight.track_op().then(|| self.op.weight_gradient(&self.x, &dy)).transpose()?;
        Ok((passed_on(&self.of_x)?, dw.map(|dw| collected(weight, dw)).transpose()?.flatten()))
    }
}

/// A batch norm in either precision.
pub(super) enum OfNorm {
    Plain(BatchNorm),
    Mixed(MixedBatchNorm),
}

impl OfNorm {
    pub(super) fn forward(
        &self,
        x: &Tensor,
        affine: &Tensor,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        match (self, residual) {
            (Self::Plain(op), Some(residual)) => x.apply_op3_no_bwd(affine, residual, op),
            (Self::Plain(op), None) => x.apply_op2_no_bwd(affine, op),
            (Self::Mixed(op), residual) => op.forward(x, affine, residual),
        }
    }
}

/// `(scalar, scale and shift, scalar of the residual) -> scalar`
pub(super) struct Normalized {
    pub op: OfNorm,
    pub x: Tensor,
    pub y: Tensor,
    pub of_x: Option<Arc<Gradients>>,
    pub of_residual: Option<Arc<Gradients>>,
    pub of_y: Arc<Gradients>,
}

impl Normalized {
    /// Passes on the gradients of x and of the residual; returns that of scale and shift.
    fn backward(&self, affine: &Tensor) -> Result<Option<Tensor>> {
        let gradients = self.of_y.take()?;
        let wanted = [self.of_x.is_some(), affine.track_op(), self.of_residual.is_some()];
        let [x, affine, residual] = match &self.op {
            OfNorm::Plain(op) => op.gradients(&self.x, affine, &self.y, &gradients, wanted)?,
            OfNorm::Mixed(op) => op.gradients(&self.x, affine, &self.y, &gradients, wanted)?,
        };
        for (to, gradient) in [(&self.of_x, x), (&self.of_residual, residual)] {
            if let (Some(to), Some(gradient)) = (to, gradient) {
                to.push(gradient);
            }
        }
        Ok(affine)
    }
}

impl CustomOp2 for Normalized {
    fn name(&self) -> &'static str {
        "normalized"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(
        &self,
        _: &Tensor,
        affine: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let affine = self.backward(affine)?;
        Ok((passed_on(&self.of_x)?, affine))
    }
}

impl CustomOp3 for Normalized {
    fn name(&self) -> &'static str {
        "normalized"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(
        &self,
        _: &Tensor,
        affine: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let affine = self.backward(affine)?;
        Ok((passed_on(&self.of_x)?, affine, passed_on(&self.of_residual)?))
    }
}

/// `(scalar, scalar of the residual) -> scalar`, for a convolution and a fixed batch norm
pub(super) struct ConvolvedAndNormalized {
    pub op: NormalizedConvolution,
    pub weight: Tensor,
    pub x: Tensor,
    pub y: Tensor,
    pub of_x: Option<Arc<Gradients>>,
    pub of_residual: Option<Arc<Gradients>>,
    pub of_y: Arc<Gradients>,
}

impl ConvolvedAndNormalized {
    /// Passes on the gradients of x and of the residual.
    fn backward(&self) -> Result<()> {
        let gradient = self.of_y.take_before(&self.y, self.op.activation())?;
        if let Some(of_residual) = &self.of_residual {
            of_residual.push(gradient.clone());
        }
        if let Some(of_x) = &self.of_x {
            of_x.merge(&self.x, |other, rectified| {
                self.op.input_gradient(&gradient, &self.weight, other, rectified)
            })?;
        }
        Ok(())
    }
}

impl CustomOp1 for ConvolvedAndNormalized {
    fn name(&self) -> &'static str {
        "convolved and normalized"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        self.backward()?;
        passed_on(&self.of_x)
    }
}

impl CustomOp2 for ConvolvedAndNormalized {
    fn name(&self) -> &'static str {
        "convolved and normalized"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward()?;
        Ok((passed_on(&self.of_x)?, passed_on(&self.of_residual)?))
    }
}

/// `scalar -> scalar`
pub(super) struct Pooled {
    pub op: Pooling,
    pub of_x: Option<Arc<Gradients>>,
    pub of_y: Arc<Gradients>,
}

impl CustomOp1 for Pooled {
    fn name(&self) -> &'static str {
        "pooled"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let dy = self.of_y.take_sum()?;
        if let Some(of_x) = &self.of_x {
            of_x.push(self.op.input_gradient(&dy)?);
        }
        passed_on(&self.of_x)
    }
}

/// `scalar, the sum of those of the parts -> scalar`
pub(super) struct Concatenated {
    /// Channels of each part, and where its gradients go.
    pub parts: Vec<(usize, Option<Arc<Gradients>>)>,
    pub of_y: Arc<Gradients>,
}

impl CustomOp1 for Concatenated {
    fn name(&self) -> &'static str {
        "concatenated"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let dy = self.of_y.take_sum()?;
        let mut first = 0;
        for (channels, of_part) in &self.parts {
            if let Some(of_part) = of_part {
                of_part.push(dy.narrow(1, first, *channels)?);
            }
            first += channels;
        }
        Tensor::new(0f32, &Device::Cpu).map(Some)
    }
}

/// `(scalar, positions, weights) -> tensor`
pub(super) struct Read {
    pub op: PointReadout,
    pub x: Tensor,
    pub of_x: Option<Arc<Gradients>>,
}

impl CustomOp3 for Read {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        positions: &CpuStorage,
        positions_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        on_cpu(&self.x, |x, layout| {
            self.op.cpu_fwd(x, layout, positions, positions_layout, weights, weights_layout)
        })
    }

    fn bwd(
        &self,
        _: &Tensor,
        positions: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = Wanted {
            features: self.of_x.is_some(),
            positions: positions.track_op(),
            weights: weights.track_op(),
        };
        let [x, of_positions, of_weights] =
            self.op.gradients(&self.x, positions, weights, gradient, wanted)?;
        if let (Some(of_x), Some(x)) = (&self.of_x, x) {
            of_x.push(x);
        }
        let of_weights =
            of_weights.map(|gradient| collected(weights, gradient)).transpose()?.flatten();
        Ok((passed_on(&self.of_x)?, of_positions, of_weights))
    }
}

/// `scalar -> tensor`: an operation that returns a value to candle's graph.
pub(super) struct Left<O> {
    pub op: O,
    pub x: Tensor,
    pub of_x: Arc<Gradients>,
}

impl<O: CustomOp1> CustomOp1 for Left<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        on_cpu(&self.x, |x, layout| self.op.cpu_fwd(x, layout))
    }

    fn bwd(&self, token: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        if !token.track_op() {
            return Ok(None);
        }
        if let Some(gradient) = self.op.bwd(&self.x, y, gradient)? {
            self.of_x.push(gradient);
        }
        Tensor::new(0f32, &Device::Cpu).map(Some)
    }
}

/// `x -> x`
pub(super) struct Copied;

impl CustomOp1 for Copied {
    fn name(&self) -> &'static str {
        "copied"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((
            CpuStorage::F32(crate::arguments::contiguous(x, layout)?.to_vec()),
            layout.shape().clone(),
        ))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous().map(Some)
    }
}

/// `scalar -> scalar`: f32 to mixed precision.
pub(super) struct Narrowed {
    pub sizes: Sizes,
    pub of_x: Option<Arc<Gradients>>,
    pub of_y: Arc<Gradients>,
}

impl CustomOp1 for Narrowed {
    fn name(&self) -> &'static str {
        "narrowed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let dy = mixed::sum(&self.sizes, &self.of_y.take()?)?;
        if let Some(of_x) = &self.of_x {
            of_x.push(mixed::unpack(&self.sizes, &dy)?);
        }
        passed_on(&self.of_x)
    }
}

/// `scalar -> scalar`: mixed precision to f32.
pub(super) struct Widened {
    pub of_x: Option<Arc<Gradients>>,
    pub of_y: Arc<Gradients>,
}

impl CustomOp1 for Widened {
    fn name(&self) -> &'static str {
        "widened"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let dy = self.of_y.take_sum()?;
        if let Some(of_x) = &self.of_x {
            of_x.push(mixed::pack(&dy)?.1);
        }
        passed_on(&self.of_x)
    }
}

/// `scalar, the sum of those of the parts -> scalar`, in mixed precision.
pub(super) struct ConcatenatedChunks {
    pub whole: Sizes,
    /// Each part, and where its gradients go.
    pub parts: Vec<(Sizes, Option<Arc<Gradients>>)>,
    pub of_y: Arc<Gradients>,
}

impl CustomOp1 for ConcatenatedChunks {
    fn name(&self) -> &'static str {
        "concatenated"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        scalar()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let dy = mixed::sum(&self.whole, &self.of_y.take()?)?;
        mixed::with_numbers(&dy, |dy| {
            let mut first = 0;
            for (sizes, of_part) in &self.parts {
                if let Some(of_part) = of_part {
                    of_part.push(sizes.tensor(mixed::narrowed(&self.whole, dy, first, sizes))?);
                }
                first += sizes.image();
            }
            Ok(())
        })?;
        Tensor::new(0f32, &Device::Cpu).map(Some)
    }
}
