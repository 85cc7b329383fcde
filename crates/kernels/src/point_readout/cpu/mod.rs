//! Each image is first converted so that the channels of a pixel are contiguous and a neuron reads
//! four runs of memory. Threads divide a fixed number of image stretches, over which weight
//! gradients, which depend on all images, are summed.

mod backward;
mod image;
#[cfg(test)]
mod tests;

use super::OP;
use crate::Error;
use crate::arguments::{contiguous, has_shape, image_sizes, stored_kind, with_elements};
use crate::bilinear::Grid;
use crate::simd::Isa;
use crate::uninit::{Uninit, written};
pub(crate) use backward::Wanted;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use image::View;
use rayon::prelude::*;
use std::ops::Range;

/// Stretches of images, each processed by one thread with its own sum of the weight gradients; the
/// sums are added in order. The number does not depend on the number of threads, and is small,
/// since each sum is as large as all weights.
const STRETCHES: usize = 8;

/// Neurons that are read in one image after another, so that their weights stay in the cache.
const BLOCK: usize = 256;

pub(crate) struct PointReadout {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) neurons: usize,
    pub(super) grid: Grid,
}

impl PointReadout {
    /// See [`crate::point_readout`].
    pub(crate) fn new(
        features: &Tensor,
        positions: &Tensor,
        weights: &Tensor,
    ) -> std::result::Result<Self, Error> {
        stored_kind(
            OP,
            &[("features", features)],
            &[("positions", positions), ("weights", weights)],
        )?;
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

    /// Floats per image.
    fn image(&self) -> usize {
        self.channels * self.grid.area()
    }

    /// Images per stretch, except the last.
    fn stretch(&self) -> usize {
        self.batch.div_ceil(STRETCHES)
    }

    /// The images of a stretch, with the channels of each pixel together.
    fn channels_last(&self, features: &[f32]) -> Vec<f32> {
        // SAFETY: the images cover all values, and every value of each is written.
        let (pixels, ()) = unsafe {
            written(features.len(), |pixels: &mut [Uninit]| {
                let images =
                    pixels.chunks_exact_mut(self.image()).zip(features.chunks_exact(self.image()));
                images.for_each(|(pixels, features)| {
                    image::channels_last(features, pixels, self.channels)
                });
            })
        };
        pixels
    }

    /// Processes some images for one block of neurons after another.
    fn for_each_block(&self, images: usize, mut work: impl FnMut(usize, Range<usize>)) {
        for first in (0..self.neurons).step_by(BLOCK) {
            (0..images).for_each(|image| work(image, first..(first + BLOCK).min(self.neurons)));
        }
    }

    /// The requested gradients of features, positions and weights.
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
                with_elements(weights, |w| {
                    with_elements(gradient, |g| Ok(backward::gradients(self, f, p, w, g, wanted)))
                })
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
        let (images, isa) = (self.stretch(), Isa::active());
        output
            .par_chunks_mut(images * self.neurons)
            .zip(features.par_chunks(images * self.image()))
            .zip(positions.par_chunks(images * self.neurons * 2))
            .for_each(|((output, features), positions)| {
                let pixels = self.channels_last(features);
                self.for_each_block(features.len() / self.image(), |image, neurons| {
                    let own =
                        image * self.neurons + neurons.start..image * self.neurons + neurons.end;
                    let pixels = &pixels[image * self.image()..][..self.image()];
                    let weights =
                        &weights[neurons.start * self.channels..neurons.end * self.channels];
                    let positions = &positions[2 * own.start..2 * own.end];
                    image::read(
                        isa,
                        View { op: self, pixels, positions, weights },
                        &mut output[own],
                    );
                });
            });
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
        let wanted = Wanted {
            features: features.track_op(),
            positions: positions.track_op(),
            weights: weights.track_op(),
        };
        self.gradients(features, positions, weights, gradient, wanted)
            .map(|[features, positions, weights]| (features, positions, weights))
    }
}
