//! The losses on the device. Nothing is read back, so a training can queue its whole step.

use crate::cuda::launch::{
    Held, Module, grid, launch, module, not_on_the_cpu, over, room, size, tensor, view,
};
use candle_core::cuda::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

const OP: &str = "loss";
const MODULE: Module = module!("losses");
const WARP: u32 = 32;

/// [`crate::arctanh_squared_loss`] for checked arguments.
pub(super) fn arctanh_squared_loss(
    similarity: &Tensor,
    target: &Tensor,
    scale: f64,
) -> Result<Tensor> {
    let pairs = size("arctanh_squared_loss", "similarity", similarity.elem_count())?;
    similarity.contiguous()?.apply_op1(ArctanhSquared {
        pairs,
        target: target.detach().contiguous()?,
        scale,
    })
}

struct ArctanhSquared {
    pairs: u32,
    target: Tensor,
    scale: f64,
}

impl CustomOp1 for ArctanhSquared {
    fn name(&self) -> &'static str {
        "arctanh_squared_loss"
    }

    not_on_the_cpu!(_similarity: &CpuStorage, _layout: &Layout);

    fn cuda_fwd(&self, similarity: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = &similarity.device;
        let target = Held::new(&self.target);
        let mut loss = room::<f32>(device, 1)?;
        // SAFETY: the parameters match `arctanh_loss`, one block of which writes one value.
        unsafe {
            launch!(device, MODULE, "arctanh_loss", grid(1, 1),
                (view::<f32>(similarity, layout)?, target.view::<f32>()?, self.pairs, self.scale) => (&mut loss));
        }
        Ok((CudaStorage::wrap_cuda_slice(loss, device.clone()), Shape::from(())))
    }

    fn bwd(&self, similarity: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (values, target, gradient) =
            (Held::new(similarity), Held::new(&self.target), Held::new(&gradient));
        let device = values.device()?;
        let mut into = room::<f32>(device, self.pairs as usize)?;
        // SAFETY: the parameters match `arctanh_gradient`, which writes one value per pair.
        unsafe {
            launch!(device, MODULE, "arctanh_gradient", over(self.pairs),
                (values.view::<f32>()?, target.view::<f32>()?, gradient.view::<f32>()?, self.pairs, self.scale) => (&mut into));
        }
        Ok(Some(tensor(into, device, similarity.shape())))
    }
}

/// [`crate::cross_entropy`] for arguments with checked shapes. A label that is not a class makes
/// the loss NaN: an error would require waiting for the device.
pub(super) fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    size("cross_entropy", "logits", logits.elem_count().saturating_mul(WARP as usize))?;
    let op =
        CrossEntropy { rows: rows as u32, classes: classes as u32, labels: labels.contiguous()? };
    logits.contiguous()?.apply_op1(op)
}

struct CrossEntropy {
    rows: u32,
    classes: u32,
    labels: Tensor,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    not_on_the_cpu!(_logits: &CpuStorage, _layout: &Layout);

    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = &logits.device;
        let labels = Held::new(&self.labels);
        let mut entropy = room::<f64>(device, self.rows as usize)?;
        let mut loss = room::<f32>(device, 1)?;
        // SAFETY: the parameters match both kernels; a warp of the first writes one value per row,
        // one block of the second one value.
        unsafe {
            launch!(device, MODULE, "entropies", over(self.rows * WARP),
                (view::<f32>(logits, layout)?, labels.view::<u32>()?, self.rows, self.classes) => (&mut entropy));
            launch!(device, MODULE, "mean_entropy", grid(1, 1), (entropy.slice(..), self.rows) => (&mut loss));
        }
        Ok((CudaStorage::wrap_cuda_slice(loss, device.clone()), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (values, labels, gradient) =
            (Held::new(logits), Held::new(&self.labels), Held::new(&gradient));
        let device = values.device()?;
        let mut into = room::<f32>(device, logits.elem_count())?;
        // SAFETY: the parameters match `entropy_gradient`, a warp of which writes the values of a
        // row.
        unsafe {
            launch!(device, MODULE, "entropy_gradient", over(self.rows * WARP),
                (values.view::<f32>()?, labels.view::<u32>()?, gradient.view::<f32>()?, self.rows, self.classes)
                    => (&mut into));
        }
        Ok(Some(tensor(into, device, logits.shape())))
    }
}
