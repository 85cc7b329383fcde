//! Averages over windows on the device: one thread per output, and backward one thread per input.

use crate::cuda::launch::{
    Held, Module, Stored, by_type, dtype, launch, module, not_on_the_cpu, over, room, size, tensor,
    view,
};
use candle_core::cuda::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

const OP: &str = "pooling";
const MODULE: Module = module!("pooling");

/// Windows of `kernel` x `kernel` pixels, `stride` apart, `out` of them along each axis, of a
/// checked image.
pub(super) fn pool(
    name: &'static str,
    x: &Tensor,
    out: (usize, usize),
    kernel: usize,
    stride: usize,
) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    // Beyond the image size, window size and stride have no effect.
    let within = |value: usize| value.min(height.max(width)) as u32;
    let planes = size(name, "x", batch * channels)?;
    size(name, "x", x.elem_count())?;
    let sides = [height, width, out.0, out.1].map(|side| side as u32);
    let op = Pooling {
        name,
        dims: [batch, channels],
        planes,
        sides,
        kernel: within(kernel),
        stride: within(stride),
    };
    x.contiguous()?.apply_op1(op)
}

struct Pooling {
    name: &'static str,
    dims: [usize; 2],
    planes: u32,
    /// Height and width of the image, then of the result.
    sides: [u32; 4],
    kernel: u32,
    stride: u32,
}

impl Pooling {
    fn forward<T: Stored>(&self, x: &CudaStorage, layout: &Layout) -> Result<CudaStorage> {
        let [height, width, out_height, out_width] = self.sides;
        let count = self.planes * out_height * out_width;
        let mut y = room::<T>(&x.device, count as usize)?;
        // SAFETY: the parameters match `pooling_forward`, which writes `count` values and reads
        // within the planes.
        unsafe {
            launch!(x.device, MODULE, &format!("pooling_forward_{}", T::SUFFIX), over(count),
                (view::<T>(x, layout)?, height, width, out_height, out_width, self.kernel, self.stride, count) => (&mut y));
        }
        Ok(CudaStorage::wrap_cuda_slice(y, x.device.clone()))
    }

    fn backward<T: Stored>(&self, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let [height, width, out_height, out_width] = self.sides;
        let count = self.planes * height * width;
        let gradient = Held::new(gradient);
        let device = gradient.device()?;
        let mut into = room::<T>(device, count as usize)?;
        // SAFETY: the parameters match `pooling_backward`, which writes `count` values and reads
        // within the windows.
        unsafe {
            launch!(device, MODULE, &format!("pooling_backward_{}", T::SUFFIX), over(count),
                (gradient.view::<T>()?, height, width, out_height, out_width, self.kernel, self.stride, count) => (&mut into));
        }
        Ok(tensor(into, device, x.shape()))
    }
}

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        self.name
    }

    not_on_the_cpu!(_x: &CpuStorage, _layout: &Layout);

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let y = by_type!(dtype(x), T => self.forward::<T>(x, layout)?);
        let [_, _, out_height, out_width] = self.sides.map(|side| side as usize);
        Ok((y, Shape::from((self.dims[0], self.dims[1], out_height, out_width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(x.dtype(), T => self.backward::<T>(x, &gradient.contiguous()?).map(Some))
    }
}
