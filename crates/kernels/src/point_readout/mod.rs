//! The readout of a response model: each neuron reads all channels at one point, by bilinear interpolation, and weighs them.
//!
//! Each image is first laid out with the channels of a pixel together, so that a neuron reads four runs of memory. Threads
//! share images; gradients of weights, which all images have part in, are summed over a fixed number of stretches of images.

mod backward;
mod image;

use crate::Error;
use crate::arguments::{contiguous, has_shape, image_sizes, stored_kind, with_elements};
use crate::bilinear::Grid;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

pub(crate) use backward::Wanted;

const OP: &str = "point_readout";

/// Value of each neuron, `[batch, neurons]`: `features` `[batch, channels, height, width]` at `positions`
/// `[batch, neurons, 2]` times `weights` `[neurons, channels]`, summed over channels.
///
/// A position is (x, y); -1 and 1 are the outer edges of the first and last pixel (`align_corners = false`), and beyond the
/// centres of the border pixels their values hold. Differentiable in all three; a position that the border clamps has
/// no gradient along that axis, as in PyTorch's `grid_sample` with border padding.
///
/// # Errors
/// Ranks, sizes or kinds that do not fit (see [`Error`]).
pub fn point_readout(features: &Tensor, positions: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let op = PointReadout::new(features, positions, weights)?;
    #[cfg(feature = "cuda")]
    if features.device().is_cuda() {
        return crate::cuda::point_readout::point_readout(features, positions, weights);
    }
    features.contiguous()?.apply_op3(&positions.contiguous()?, &weights.contiguous()?, op)
}

pub(crate) struct PointReadout {
    batch: usize,
    channels: usize,
    neurons: usize,
    grid: Grid,
}

impl PointReadout {
    /// See [`point_readout`].
    pub(crate) fn new(features: &Tensor, positions: &Tensor, weights: &Tensor) -> std::result::Result<Self, Error> {
        stored_kind(OP, &[("features", features)], &[("positions", positions), ("weights", weights)])?;
        let [batch, channels, height, width] = image_sizes(OP, "features", features)?;
        let neurons = match *weights.dims() {
            [neurons, _] if neurons > 0 => neurons,
            _ => {
                let found = weights.dims().to_vec();
                let expected = "[neurons, channels], at least 1 each".into();
                let remedy = "give a row of weights for each neuron";
                return Err(Error::Shape { op: OP, argument: "weights", expected, found, remedy });
            }
        };
        has_shape(OP, "weights", weights, &[neurons, channels])?;
        has_shape(OP, "positions", positions, &[batch, neurons, 2])?;
        Ok(Self { batch, channels, neurons, grid: Grid { height, width, align_corners: false } })
    }

    /// Floats of one image.
    fn image(&self) -> usize {
        self.channels * self.grid.area()
    }

    /// Gradients of features, positions and weights, where they are wanted.
    pub(crate) fn gradients(
        &self,
        features: &Tensor,
        positions: &Tensor,
        weights: &Tensor,
        gradient: &Tensor,
        wanted: Wanted,
    ) -> Result<[Option<Tensor>; 3]> {
        let found = with_elements(features, |f| {
            with_elements(positions, |p| {
                with_elements(weights, |w| with_elements(gradient, |g| Ok(backward::gradients(self, f, p, w, g, wanted))))
            })
        })?;
        let of = |wanted: bool, values: Vec<f32>, like: &Tensor| match wanted {
            true => Tensor::from_vec(values, like.dims(), &Device::Cpu).map(Some),
            false => Ok(None),
        };
        Ok([
            of(wanted.features, found.features, features)?,
            of(wanted.positions, found.positions, positions)?,
            of(wanted.weights, found.weights, weights)?,
        ])
    }
}

impl CustomOp3 for PointReadout {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        features: &CpuStorage,
        features_layout: &Layout,
        positions: &CpuStorage,
        positions_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let features = contiguous(features, features_layout)?;
        let positions = contiguous(positions, positions_layout)?;
        let weights = contiguous(weights, weights_layout)?;
        let mut output = vec![0.0; self.batch * self.neurons];
        output
            .par_chunks_exact_mut(self.neurons)
            .zip(features.par_chunks_exact(self.image()))
            .zip(positions.par_chunks_exact(self.neurons * 2))
            .for_each_init(
                || vec![0.0; self.image()],
                |pixels, ((output, features), positions)| {
                    image::channels_last(features, pixels, self.channels);
                    image::read(self, pixels, positions, weights, output);
                },
            );
        Ok((CpuStorage::F32(output), Shape::from((self.batch, self.neurons))))
    }

    fn bwd(
        &self,
        features: &Tensor,
        positions: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = Wanted { features: features.track_op(), positions: positions.track_op(), weights: weights.track_op() };
        self.gradients(features, positions, weights, gradient, wanted)
            .map(|[features, positions, weights]| (features, positions, weights))
    }
}

#[cfg(test)]
mod tests;
