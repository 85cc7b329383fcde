//! Cosines of pairs on the device: sums over stretches of each pair, then cosines; the gradients
//! reuse the norms.

use crate::cuda::launch::{
    Held, Module, Stored, by_type, dtype, grid, launch, module, not_on_the_cpu, over, room, size,
    stretches, tensor, view, width,
};
use candle_core::cuda::CudaStorage;
use candle_core::cuda::cudarc::driver::CudaSlice;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

const OP: &str = "pair_cosine";
const MODULE: Module = module!("pair_cosine");

/// [`crate::pair_cosine`] for checked arguments; computed in f32 whatever the type of the features.
pub(super) fn pair_cosine(features: &Tensor, center: &Tensor) -> Result<Tensor> {
    let (images, channels, height, width) = features.dims4()?;
    size(OP, "features", features.elem_count())?;
    let area = (height * width) as u32;
    let op = PairCosine {
        pairs: (images / 2) as u32,
        area,
        length: channels as u32 * area,
        center: center.detach().contiguous()?,
        found: OnceLock::new(),
    };
    features.contiguous()?.apply_op1(op)
}

struct PairCosine {
    pairs: u32,
    area: u32,
    /// Values per image.
    length: u32,
    center: Tensor,
    /// Both norms and the cosine of each pair, set by the forward pass.
    found: OnceLock<CudaSlice<f64>>,
}

impl PairCosine {
    fn forward<T: Stored>(
        &self,
        features: &CudaStorage,
        layout: &Layout,
    ) -> Result<CudaSlice<f32>> {
        let Self { pairs, area, length, .. } = *self;
        let device = &features.device;
        let center = Held::new(&self.center);
        let (stretches, stretch) = stretches(pairs, length);
        let width = width(area, &[layout]);
        let mut partial = room::<f64>(device, 3 * pairs as usize * stretches as usize)?;
        let mut cosine = room::<f32>(device, pairs as usize)?;
        let mut found = room::<f64>(device, 3 * pairs as usize)?;
        // SAFETY: the parameters match both kernels. The first writes three sums per stretch of
        // each pair, the second one cosine and three values per pair.
        unsafe {
            launch!(device, MODULE, &format!("pair_products_{}_{width}", T::SUFFIX), grid(pairs, stretches),
                (view::<T>(features, layout)?, center.view::<f32>()?, pairs, area, length, stretch) => (&mut partial));
            launch!(device, MODULE, "pair_cosines", over(pairs), (partial.slice(..), pairs, stretches)
                => (&mut cosine, &mut found));
        }
        // A second forward pass of one operation would compute the same values.
        let _ = self.found.set(found);
        Ok(cosine)
    }

    fn backward<T: Stored>(&self, features: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let Self { pairs, area, length, .. } = *self;
        let width = width(area, &[features.layout()]);
        let (values, center, gradient) =
            (Held::new(features), Held::new(&self.center), Held::new(gradient));
        let device = values.device()?;
        let found = self.found.get().expect("the forward pass came first").slice(..);
        let packs = pairs * length / width;
        let mut into = room::<T>(device, features.elem_count())?;
        // SAFETY: the parameters match `pair_gradients`, which writes the values of both images of
        // each of `packs` packs.
        unsafe {
            launch!(device, MODULE, &format!("pair_gradients_{}_{width}", T::SUFFIX), over(packs),
                (values.view::<T>()?, center.view::<f32>()?, found, gradient.view::<f32>()?, pairs, area, length, packs)
                    => (&mut into));
        }
        Ok(tensor(into, device, features.shape()))
    }
}

impl CustomOp1 for PairCosine {
    fn name(&self) -> &'static str {
        OP
    }

    not_on_the_cpu!(_features: &CpuStorage, _layout: &Layout);

    fn cuda_fwd(&self, features: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let cosine = by_type!(dtype(features), T => self.forward::<T>(features, layout)?);
        Ok((
            CudaStorage::wrap_cuda_slice(cosine, features.device.clone()),
            Shape::from(self.pairs as usize),
        ))
    }

    fn bwd(&self, features: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(features.dtype(), T => self.backward::<T>(features, &gradient.contiguous()?).map(Some))
    }
}
