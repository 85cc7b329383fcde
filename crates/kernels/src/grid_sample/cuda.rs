//! Bilinear sampling of all channels on the device: one thread per value. Backward, one thread per
//! point for the positions, and blocks that gather the contributions of points to their pixels for
//! the features.

use crate::cuda::launch::{
    Held, Module, Stored, blocks_of, by_type, dtype, launch, module, not_on_the_cpu, over, room,
    size, tensor, view,
};
use crate::cuda::layout::transposed;
use crate::cuda::{FEATURE_CHANNELS, FEATURE_COLUMNS};
use candle_core::cuda::CudaStorage;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

const OP: &str = "grid_sample";
const MODULE: Module = module!("points");

/// [`crate::grid_sample`] for checked arguments; the result has the type of the features.
pub(super) fn grid_sample(
    features: &Tensor,
    positions: &Tensor,
    align_corners: bool,
) -> Result<Tensor> {
    let (batch, channels, height, width) = features.dims4()?;
    let points = positions.dim(1)?;
    size(OP, "features", features.elem_count())?;
    size(OP, "positions", positions.elem_count())?;
    size(OP, "the result", batch.saturating_mul(channels).saturating_mul(points))?;
    let [batch, channels, height, width, points] =
        [batch, channels, height, width, points].map(|size| size as u32);
    let op = GridSample {
        batch,
        channels,
        height,
        width,
        points,
        align_corners: i32::from(align_corners),
    };
    features.contiguous()?.apply_op2(&positions.contiguous()?, op)
}

struct GridSample {
    batch: u32,
    channels: u32,
    height: u32,
    width: u32,
    points: u32,
    align_corners: i32,
}

impl GridSample {
    fn forward<T: Stored>(
        &self,
        features: &CudaStorage,
        layout: &Layout,
        positions: CudaView<f32>,
    ) -> Result<CudaSlice<T>> {
        let Self { batch, channels, height, width, points, align_corners } = *self;
        let count = batch * channels * points;
        let mut y = room::<T>(&features.device, count as usize)?;
        // SAFETY: the parameters match `grid_sample`, which writes `count` values and reads within
        // the planes.
        unsafe {
            launch!(features.device, MODULE, &format!("grid_sample_{}", T::SUFFIX), over(count),
                (view::<T>(features, layout)?, positions, channels, height, width, align_corners, points, count) => (&mut y));
        }
        Ok(y)
    }

    fn backward<T: Stored>(
        &self,
        features: &Tensor,
        positions: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; 2]> {
        let Self { batch, channels, height, width, points, align_corners } = *self;
        let (values, places, gs) = (Held::new(features), Held::new(positions), Held::new(gradient));
        let device = values.device()?;
        let mut found = [None, None];
        if features.track_op() {
            // The channels of a point together, as the threads of a block read them.
            let by_point = transposed(device, &gs.view::<T>()?, batch, channels, points)?;
            let parts = channels.div_ceil(FEATURE_CHANNELS)
                * width.div_ceil(FEATURE_COLUMNS)
                * height
                * batch;
            let mut into = room::<T>(device, features.elem_count())?;
            // SAFETY: the parameters match `grid_sample_features`, whose blocks write exactly the
            // parts of rows.
            unsafe {
                launch!(device, MODULE, &format!("grid_sample_features_{}", T::SUFFIX),
                    blocks_of(parts, (FEATURE_CHANNELS, 1)),
                    (places.view::<f32>()?, by_point.slice(..), channels, height, width, align_corners, points) => (&mut into));
            }
            found[0] = Some(tensor(into, device, features.shape()));
        }
        if positions.track_op() {
            let count = batch * points;
            let mut into = room::<f32>(device, positions.elem_count())?;
            // SAFETY: the parameters match `grid_sample_positions`, which writes two values for
            // each of `count` points.
            unsafe {
                launch!(device, MODULE, &format!("grid_sample_positions_{}", T::SUFFIX), over(count),
                    (values.view::<T>()?, places.view::<f32>()?, gs.view::<T>()?, channels, height, width, align_corners, points,
                        count) => (&mut into));
            }
            found[1] = Some(tensor(into, device, positions.shape()));
        }
        Ok(found)
    }
}

impl CustomOp2 for GridSample {
    fn name(&self) -> &'static str {
        OP
    }

    not_on_the_cpu!(_features: &CpuStorage, _fl: &Layout, _positions: &CpuStorage, _pl: &Layout);

    fn cuda_fwd(
        &self,
        features: &CudaStorage,
        fl: &Layout,
        positions: &CudaStorage,
        pl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let positions = view::<f32>(positions, pl)?;
        let y = by_type!(dtype(features), T => {
            CudaStorage::wrap_cuda_slice(self.forward::<T>(features, fl, positions)?, features.device.clone())
        });
        let [batch, channels, points] =
            [self.batch, self.channels, self.points].map(|size| size as usize);
        Ok((y, Shape::from((batch, channels, points))))
    }

    fn bwd(
        &self,
        features: &Tensor,
        positions: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let [features, positions] =
            by_type!(features.dtype(), T => self.backward::<T>(features, positions, &gradient)?);
        Ok((features, positions))
    }
}
