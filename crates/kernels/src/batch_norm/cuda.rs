//! Batch normalization on the device: sums over stretches of each channel, then moments, then one
//! pass over the values.

use super::{Activation, BatchStatistics, FixedStatistics};
use crate::cuda::launch::{
    Held, Module, Stored, by_type, dtype, grid, launch, module, not_on_the_cpu, over, room, size,
    stretches, tensor, view, width,
};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda::{CudaDevice, CudaStorage};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::{Arc, OnceLock};

const OP: &str = "batch_norm";
const MODULE: Module = module!("batch_norm");

/// [`crate::batch_norm_train`] for checked arguments.
pub(super) fn train(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    residual: Option<&Tensor>,
    activation: Activation,
    eps: f64,
) -> Result<(Tensor, BatchStatistics)> {
    let moments = Arc::new(OnceLock::new());
    let op = BatchNorm {
        sizes: Sizes::of(x)?,
        activation,
        eps,
        training: true,
        moments: Arc::clone(&moments),
    };
    let count = op.sizes.count as usize;
    let y = apply(op, x, scale, shift, residual)?;
    let moments = moments.get().expect("the forward pass has found them");
    Ok((y, BatchStatistics { mean: moments.get(0)?, variance: moments.get(2)?, count }))
}

/// [`crate::batch_norm_eval`] for checked arguments.
pub(super) fn eval(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    statistics: FixedStatistics,
    residual: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let FixedStatistics { mean, variance, eps } = statistics;
    let sizes = Sizes::of(x)?;
    let moments = OnceLock::from(given(sizes, mean, variance, eps)?);
    apply(
        BatchNorm { sizes, activation, eps, training: false, moments: Arc::new(moments) },
        x,
        scale,
        shift,
        residual,
    )
}

/// Sizes as the kernels take them.
#[derive(Clone, Copy)]
struct Sizes {
    dims: [usize; 4],
    channels: u32,
    area: u32,
    /// Values per channel.
    count: u32,
    total: u32,
}

impl Sizes {
    fn of(x: &Tensor) -> Result<Self> {
        let (batch, channels, height, width) = x.dims4()?;
        let total = size(OP, "x", x.elem_count())?;
        let (area, channels) = ((height * width) as u32, channels as u32);
        Ok(Self {
            dims: [batch, channels as usize, height, width],
            channels,
            area,
            count: batch as u32 * area,
            total,
        })
    }
}

struct BatchNorm {
    sizes: Sizes,
    activation: Activation,
    eps: f64,
    /// Whether the moments are those of the batch.
    training: bool,
    /// `[3, channels]`: means, 1 / sqrt(variance + eps), variances. Those of a batch are set by the
    /// forward pass.
    moments: Arc<OnceLock<Tensor>>,
}

fn apply(
    op: BatchNorm,
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    let affine = Tensor::stack(&[scale, shift], 0)?;
    let x = x.contiguous()?;
    match residual {
        Some(residual) => x.apply_op3(&affine, &residual.contiguous()?, op),
        None => x.apply_op2(&affine, op),
    }
}

fn given(sizes: Sizes, mean: &Tensor, variance: &Tensor, eps: f64) -> Result<Tensor> {
    let (mean, variance) = (mean.contiguous()?, variance.contiguous()?);
    let (mean, variance) = (Held::new(&mean), Held::new(&variance));
    let device = mean.device()?;
    let mut moments = room::<f32>(device, 3 * sizes.channels as usize)?;
    // SAFETY: the parameters match `given_moments`, which writes three values per channel.
    unsafe {
        launch!(device, MODULE, "given_moments", over(sizes.channels),
            (mean.view::<f32>()?, variance.view::<f32>()?, sizes.channels, eps) => (&mut moments));
    }
    Ok(tensor(moments, device, (3, sizes.channels as usize)))
}

fn number(activation: Activation) -> i32 {
    match activation {
        Activation::Identity => 0,
        Activation::Relu => 1,
        Activation::Elu => 2,
    }
}

/// An argument of a forward pass.
type Argument<'a> = (&'a CudaStorage, &'a Layout);

impl BatchNorm {
    fn forward(
        &self,
        x: Argument,
        affine: Argument,
        residual: Option<Argument>,
    ) -> Result<(CudaStorage, Shape)> {
        let y = by_type!(dtype(x.0), T => {
            let values = self.forward_as::<T>(x, affine, residual)?;
            CudaStorage::wrap_cuda_slice(values, x.0.device.clone())
        });
        Ok((y, Shape::from(self.sizes.dims.to_vec())))
    }

    fn forward_as<T: Stored>(
        &self,
        x: Argument,
        affine: Argument,
        residual: Option<Argument>,
    ) -> Result<CudaSlice<T>> {
        let device = &x.0.device;
        let Sizes { channels, area, total, .. } = self.sizes;
        let layouts: Vec<&Layout> =
            [Some(x.1), residual.map(|(_, layout)| layout)].into_iter().flatten().collect();
        let width = width(area, &layouts);
        let values = view::<T>(x.0, x.1)?;
        if self.moments.get().is_none() {
            let moments =
                tensor(self.batch_moments(device, &values, width)?, device, (3, channels as usize));
            // A second forward pass of one operation would compute the same values.
            let _ = self.moments.set(moments);
        }
        let moments = Held::new(self.moments.get().expect("set above"));
        let beside = match residual {
            Some((storage, layout)) => view::<T>(storage, layout)?,
            None => values.slice(..),
        };
        let packs = total / width;
        let mut y = room::<T>(device, total as usize)?;
        // SAFETY: the parameters match `batch_norm_normalize`, which reads and writes `packs` packs
        // of `width` values, exactly those that exist, and packs start where both tensors are
        // aligned.
        unsafe {
            launch!(device, MODULE, &format!("batch_norm_normalize_{}_{width}", T::SUFFIX), over(packs),
                (values, view::<f32>(affine.0, affine.1)?, moments.view::<f32>()?, beside,
                    i32::from(residual.is_some()), number(self.activation), channels, area, packs) => (&mut y));
        }
        Ok(y)
    }

    fn batch_moments<T: Stored>(
        &self,
        device: &CudaDevice,
        x: &CudaView<T>,
        width: u32,
    ) -> Result<CudaSlice<f32>> {
        let Sizes { channels, area, count, .. } = self.sizes;
        let (stretches, stretch) = stretches(channels, count);
        let mut partial = room::<f64>(device, 2 * channels as usize * stretches as usize)?;
        let mut moments = room::<f32>(device, 3 * channels as usize)?;
        // SAFETY: the parameters match both kernels. The first writes two sums per stretch of each
        // channel, the second three values per channel.
        unsafe {
            launch!(device, MODULE, &format!("batch_norm_sums_{}_{width}", T::SUFFIX), grid(channels, stretches), (x.slice(..), channels, area, count, stretch) => (&mut partial));
            launch!(device, MODULE, &format!("batch_norm_moments_{}", T::SUFFIX), over(channels),
                (partial.slice(..), x.slice(..), channels, area, count, stretches, self.eps) => (&mut moments));
        }
        Ok(moments)
    }

    /// Gradients with respect to x, scale and shift (stacked), and the residual; those that are not
    /// requested are left out.
    fn backward(
        &self,
        x: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
        residual: bool,
    ) -> Result<[Option<Tensor>; 3]> {
        by_type!(x.dtype(), T => self.backward_as::<T>(x, affine, y, &gradient.contiguous()?, residual))
    }

    fn backward_as<T: Stored>(
        &self,
        x: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
        residual: bool,
    ) -> Result<[Option<Tensor>; 3]> {
        let Sizes { dims, channels, area, count, total } = self.sizes;
        let (wants_input, wants_affine) = (x.track_op(), affine.track_op());
        let width = width(area, &[x.layout(), y.layout(), gradient.layout()]);
        let (xs, affines, ys, gs) =
            (Held::new(x), Held::new(affine), Held::new(y), Held::new(gradient));
        let moments = Held::new(self.moments.get().expect("the forward pass came first"));
        let device = xs.device()?;
        let (activation, training) = (number(self.activation), i32::from(self.training));

        let mut affine_gradient = room::<f32>(device, 2 * channels as usize)?;
        let mut along = room::<f32>(device, 2 * channels as usize)?;
        if wants_affine || (wants_input && self.training) {
            let (stretches, stretch) = stretches(channels, count);
            let mut partial = room::<f64>(device, 2 * channels as usize * stretches as usize)?;
            // SAFETY: the parameters match both kernels. The first writes two sums per stretch of
            // each channel, the second two values per channel to each of its outputs.
            unsafe {
                launch!(device, MODULE, &format!("batch_norm_gradient_sums_{}_{width}", T::SUFFIX), grid(channels, stretches), (xs.view::<T>()?, ys.view::<T>()?, gs.view::<T>()?, moments.view::<f32>()?, activation, channels,
                        area, count, stretch) => (&mut partial));
                launch!(device, MODULE, "affine_gradients", over(channels),
                    (partial.slice(..), moments.view::<f32>()?, channels, count, stretches, training)
                        => (&mut affine_gradient, &mut along));
            }
        }
        let residual_wanted = residual;
        let (mut input, mut residual) = (None, None);
        if wants_input || residual_wanted {
            let length = |wanted: bool| if wanted { total as usize } else { 1 };
            let (mut into_input, mut into_residual) = (
                room::<T>(device, length(wants_input))?,
                room::<T>(device, length(residual_wanted))?,
            );
            let wanted = i32::from(wants_input) | i32::from(residual_wanted) << 1;
            let packs = total / width;
            // SAFETY: the parameters match `batch_norm_input_gradients`, which writes all values of
            // the requested gradients and nothing else.
            unsafe {
                launch!(device, MODULE, &format!("batch_norm_input_gradients_{}_{width}", T::SUFFIX), over(packs),
                    (xs.view::<T>()?, ys.view::<T>()?, gs.view::<T>()?, affines.view::<f32>()?, moments.view::<f32>()?,
                        along.slice(..), activation, training, wanted, channels, area, packs)
                        => (&mut into_input, &mut into_residual));
            }
            input = wants_input.then(|| tensor(into_input, device, dims.to_vec()));
            residual = residual_wanted.then(|| tensor(into_residual, device, dims.to_vec()));
        }
        let affine = wants_affine.then(|| tensor(affine_gradient, device, (2, channels as usize)));
        Ok([input, affine, residual])
    }
}

impl CustomOp2 for BatchNorm {
    fn name(&self) -> &'static str {
        OP
    }

    not_on_the_cpu!(_x: &CpuStorage, _xl: &Layout, _affine: &CpuStorage, _al: &Layout);

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        affine: &CudaStorage,
        al: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward((x, xl), (affine, al), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, affine, _] = self.backward(x, affine, y, gradient, false)?;
        Ok((x, affine))
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        OP
    }

    not_on_the_cpu!(_x: &CpuStorage, _xl: &Layout, _affine: &CpuStorage, _al: &Layout, _residual: &CpuStorage, _rl: &Layout);

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        affine: &CudaStorage,
        al: &Layout,
        residual: &CudaStorage,
        rl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward((x, xl), (affine, al), Some((residual, rl)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        affine: &Tensor,
        residual: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, affine, residual] = self.backward(x, affine, y, gradient, residual.track_op())?;
        Ok((x, affine, residual))
    }
}
