//! Optimizer steps on the device, one thread per value, in place.

use crate::Error;
use crate::cuda::launch::{Held, Module, launch, module, over, size};
use candle_core::cuda::CudaStorage;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Tensor, Var};
use std::cell::RefCell;

const MODULE: Module = module!("optimizer");

/// An optimizer's buffers for one parameter, on the parameter's device.
pub(super) struct Buffers<const COUNT: usize>([CudaSlice<f32>; COUNT]);

impl<const COUNT: usize> Buffers<COUNT> {
    /// Copies buffers from the host.
    pub(super) fn upload(device: &Device, buffers: &[Vec<f32>; COUNT]) -> Result<Self> {
        let device = device.as_cuda_device()?;
        let copies = buffers
            .iter()
            .map(|buffer| device.clone_htod(buffer.as_slice()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self(copies.try_into().expect("as many copies as buffers")))
    }

    /// Copies the buffers to the host; waits for the device.
    pub(super) fn download(&self, device: &Device) -> Result<[Vec<f32>; COUNT]> {
        let device = device.as_cuda_device()?;
        let copies =
            self.0.iter().map(|buffer| device.clone_dtoh(buffer)).collect::<Result<Vec<_>>>()?;
        Ok(copies.try_into().expect("as many copies as buffers"))
    }
}

/// v = momentum v + (g + decay p); p = p - rate v.
pub(super) fn sgd(
    buffers: &mut Buffers<1>,
    var: &Var,
    gradient: &Tensor,
    rate: f32,
    momentum: f32,
    decay: f32,
) -> Result<()> {
    step("sgd", buffers, var, gradient, |gradient, count, storage, range, [velocity]| {
        let device = storage.device.clone();
        let mut values = storage.as_cuda_slice_mut::<f32>()?.slice_mut(range);
        // SAFETY: the parameters match `sgd`, which changes `count` values and as many of its
        // buffer.
        unsafe {
            launch!(device, MODULE, "sgd", over(count), (gradient, count, rate, momentum, decay) => (&mut values, velocity));
        }
        Ok(())
    })
}

/// The constants of an Adam step: rate and scale with the bias corrections, eps, and each beta with
/// 1 - beta.
pub(super) struct AdamStep {
    pub rate: f32,
    pub scale: f32,
    pub eps: f32,
    pub betas: [f32; 2],
    pub rests: [f32; 2],
}

/// m = beta1 m + rest1 g; v = beta2 v + rest2 g g; p = p - rate m / (sqrt(v) scale + eps).
pub(super) fn adam(
    buffers: &mut Buffers<2>,
    var: &Var,
    gradient: &Tensor,
    constants: &AdamStep,
) -> Result<()> {
    let AdamStep { rate, scale, eps, betas: [beta1, beta2], rests: [rest1, rest2] } = *constants;
    step("adam", buffers, var, gradient, |gradient, count, storage, range, [first, second]| {
        let device = storage.device.clone();
        let mut values = storage.as_cuda_slice_mut::<f32>()?.slice_mut(range);
        // SAFETY: the parameters match `adam`, which changes `count` values and as many of each of
        // its buffers.
        unsafe {
            launch!(device, MODULE, "adam", over(count),
                (gradient, count, rate, scale, eps, beta1, rest1, beta2, rest2) => (&mut values, first, second));
        }
        Ok(())
    })
}

/// Checks the arguments and calls `change` with the gradient, the number of values, their location,
/// and the buffers.
fn step<const COUNT: usize>(
    op: &'static str,
    buffers: &mut Buffers<COUNT>,
    var: &Var,
    gradient: &Tensor,
    change: impl FnMut(
        CudaView<f32>,
        u32,
        &mut CudaStorage,
        std::ops::Range<usize>,
        [&mut CudaSlice<f32>; COUNT],
    ) -> Result<()>,
) -> Result<()> {
    for (argument, tensor) in [("a parameter", var.as_tensor()), ("a gradient", gradient)] {
        if tensor.dtype() != DType::F32 {
            return Err(
                Error::DType { op, argument, expected: DType::F32, found: tensor.dtype() }.into()
            );
        }
    }
    let count = size(op, "a parameter", var.elem_count())?;
    let gradient = gradient.contiguous()?;
    let gradient = Held::new(&gradient);
    let work = RefCell::new((change, buffers));
    var.inplace_op1(&InPlace {
        name: op,
        work: |storage: &mut CudaStorage, range: std::ops::Range<usize>| {
            let (change, buffers) = &mut *work.borrow_mut();
            change(gradient.view::<f32>()?, count, storage, range, buffers.0.each_mut())
        },
    })
}

/// Changes the elements of a tensor in place.
struct InPlace<F> {
    name: &'static str,
    work: F,
}

impl<F: Fn(&mut CudaStorage, std::ops::Range<usize>) -> Result<()>> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        candle_core::bail!("{}: this operation runs only on CUDA devices", self.name)
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        match layout.contiguous_offsets() {
            Some((start, end)) => (self.work)(storage, start..end),
            None => candle_core::bail!("{}: a parameter is not contiguous", self.name),
        }
    }
}
