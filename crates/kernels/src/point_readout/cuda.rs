//! The readout on the device. A warp reads the channels of a pixel together, so features are
//! converted to that layout first.

use crate::cuda::launch::{
    Held, Module, Stored, blocks_of, by_type, dtype, launch, module, not_on_the_cpu, over, room,
    size, tensor, view,
};
use crate::cuda::layout::transposed;
use crate::cuda::{FEATURE_CHANNELS, FEATURE_COLUMNS};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda::{CudaDevice, CudaStorage};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

const OP: &str = "point_readout";
const MODULE: Module = module!("points");
const WARP: u32 = 32;
/// Largest number of threads in a block that sums the weight gradients of one neuron.
const WEIGHTS: u32 = 128;

/// [`crate::point_readout`] for checked arguments; computed in f32 whatever the type of the
/// features.
pub(super) fn point_readout(
    features: &Tensor,
    positions: &Tensor,
    weights: &Tensor,
) -> Result<Tensor> {
    let (batch, channels, height, width) = features.dims4()?;
    let neurons = weights.dim(0)?;
    size(OP, "features", features.elem_count())?;
    size(OP, "weights", weights.elem_count())?;
    size(OP, "positions", (batch * neurons).saturating_mul(WARP as usize))?;
    let [batch, channels, height, width, neurons] =
        [batch, channels, height, width, neurons].map(|size| size as u32);
    let op = PointReadout { batch, channels, height, width, neurons };
    features.contiguous()?.apply_op3(&positions.contiguous()?, &weights.contiguous()?, op)
}

struct PointReadout {
    batch: u32,
    channels: u32,
    height: u32,
    width: u32,
    neurons: u32,
}

impl PointReadout {
    fn channels_last<T: Stored>(
        &self,
        device: &CudaDevice,
        features: &CudaView<T>,
    ) -> Result<CudaSlice<T>> {
        transposed(device, features, self.batch, self.channels, self.height * self.width)
    }

    fn forward<T: Stored>(
        &self,
        device: &CudaDevice,
        features: CudaView<T>,
        positions: CudaView<f32>,
        weights: CudaView<f32>,
    ) -> Result<CudaSlice<f32>> {
        let Self { batch, channels, height, width, neurons } = *self;
        let pixels = self.channels_last(device, &features)?;
        let count = batch * neurons;
        let mut y = room::<f32>(device, count as usize)?;
        // SAFETY: the parameters match `point_readout`, a warp of which writes one of `count`
        // values.
        unsafe {
            launch!(device, MODULE, &format!("point_readout_{}", T::SUFFIX), over(count * WARP),
                (pixels.slice(..), positions, weights, channels, height, width, neurons, count) => (&mut y));
        }
        Ok(y)
    }

    fn backward<T: Stored>(
        &self,
        features: &Tensor,
        positions: &Tensor,
        weights: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let Self { batch, channels, height, width, neurons } = *self;
        let (values, points, rows, gs) =
            (Held::new(features), Held::new(positions), Held::new(weights), Held::new(gradient));
        let device = values.device()?;
        let count = batch * neurons;
        let wanted = [features, positions, weights].map(Tensor::track_op);
        let pixels = match wanted[1] || wanted[2] {
            true => Some(self.channels_last(device, &values.view::<T>()?)?),
            false => None,
        };
        let mut found = [None, None, None];
        if wanted[0] {
            let parts = channels.div_ceil(FEATURE_CHANNELS)
                * width.div_ceil(FEATURE_COLUMNS)
                * height
                * batch;
            let mut into = room::<T>(device, features.elem_count())?;
            // SAFETY: the parameters match `point_readout_features`, whose blocks write exactly the
            // parts of rows.
            unsafe {
                launch!(device, MODULE, &format!("point_readout_features_{}", T::SUFFIX),
                    blocks_of(parts, (FEATURE_CHANNELS, 1)),
                    (points.view::<f32>()?, gs.view::<f32>()?, rows.view::<f32>()?, channels, height, width, neurons)
                        => (&mut into));
            }
            found[0] = Some(tensor(into, device, features.shape()));
        }
        if let Some(pixels) = pixels.as_ref().filter(|_| wanted[1]) {
            let mut into = room::<f32>(device, positions.elem_count())?;
            // SAFETY: the parameters match `point_readout_positions`, a warp of which writes two
            // values for one of `count` points.
            unsafe {
                launch!(device, MODULE, &format!("point_readout_positions_{}", T::SUFFIX), over(count * WARP),
                    (pixels.slice(..), points.view::<f32>()?, rows.view::<f32>()?, gs.view::<f32>()?, channels, height, width,
                        neurons, count) => (&mut into));
            }
            found[1] = Some(tensor(into, device, positions.shape()));
        }
        if let Some(pixels) = pixels.as_ref().filter(|_| wanted[2]) {
            let threads = channels.next_multiple_of(WARP).min(WEIGHTS);
            let tiles = channels.div_ceil(threads);
            let mut into = room::<f32>(device, weights.elem_count())?;
            // SAFETY: the parameters match `point_readout_weights`, a thread of which writes one
            // weight.
            unsafe {
                launch!(device, MODULE, &format!("point_readout_weights_{}", T::SUFFIX),
                    blocks_of(neurons * tiles, (threads, 1)),
                    (pixels.slice(..), points.view::<f32>()?, gs.view::<f32>()?, batch, channels, height, width, neurons, tiles)
                        => (&mut into));
            }
            found[2] = Some(tensor(into, device, weights.shape()));
        }
        Ok(found)
    }
}

impl CustomOp3 for PointReadout {
    fn name(&self) -> &'static str {
        OP
    }

    not_on_the_cpu!(
        _features: &CpuStorage, _fl: &Layout, _positions: &CpuStorage, _pl: &Layout, _weights: &CpuStorage, _wl: &Layout
    );

    fn cuda_fwd(
        &self,
        features: &CudaStorage,
        fl: &Layout,
        positions: &CudaStorage,
        pl: &Layout,
        weights: &CudaStorage,
        wl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (positions, weights) = (view::<f32>(positions, pl)?, view::<f32>(weights, wl)?);
        let device = &features.device;
        let y = by_type!(dtype(features), T => self.forward::<T>(device, view(features, fl)?, positions, weights)?);
        Ok((
            CudaStorage::wrap_cuda_slice(y, device.clone()),
            Shape::from((self.batch as usize, self.neurons as usize)),
        ))
    }

    fn bwd(
        &self,
        features: &Tensor,
        positions: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let [f, p, w] = by_type!(features.dtype(), T => self.backward::<T>(features, positions, weights, &gradient)?);
        Ok((f, p, w))
    }
}
