//! The readout of a response model: each neuron reads all channels at one point, by bilinear interpolation, and weighs them.

use crate::Error;
use crate::arguments::{contiguous, has_shape, image_sizes, same_kind, with_elements};
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

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
    same_kind(OP, &[("features", features), ("positions", positions), ("weights", weights)])?;
    let [batch, channels, height, width] = image_sizes(OP, "features", features)?;
    let neurons = match *weights.dims() {
        [neurons, _] if neurons > 0 => neurons,
        _ => {
            let found = weights.dims().to_vec();
            let expected = "[neurons, channels], at least 1 each".into();
            return Err(Error::Shape {
                op: OP,
                argument: "weights",
                expected,
                found,
                remedy: "give a row of weights for each neuron",
            }
            .into());
        }
    };
    has_shape(OP, "weights", weights, &[neurons, channels])?;
    has_shape(OP, "positions", positions, &[batch, neurons, 2])?;
    let op = PointReadout { batch, channels, height, width, neurons };
    features.contiguous()?.apply_op3(&positions.contiguous()?, &weights.contiguous()?, op)
}

struct PointReadout {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    neurons: usize,
}

/// Where a position falls along one axis: the lower pixel, the upper one, the share of the upper, and whether the
/// border clamped it.
#[derive(Clone, Copy)]
struct Axis {
    low: usize,
    high: usize,
    share: f32,
    clamped: bool,
}

impl Axis {
    fn of(position: f32, size: usize) -> Self {
        let last = (size - 1) as f32;
        let pixel = ((position + 1.0) * size as f32 - 1.0) / 2.0;
        let inside = pixel.clamp(0.0, last);
        // The comparison is false for a position that is not a number, which then has no gradient either.
        let clamped = !(pixel > 0.0 && pixel < last);
        let low = (inside as usize).min(size - 1);
        Self { low, high: (low + 1).min(size - 1), share: inside - low as f32, clamped }
    }
}

/// The four pixels around a position and their shares.
struct Corners {
    x: Axis,
    y: Axis,
    offsets: [usize; 4],
    shares: [f32; 4],
}

impl PointReadout {
    fn corners(&self, position: &[f32]) -> Corners {
        let (x, y) = (Axis::of(position[0], self.width), Axis::of(position[1], self.height));
        let offset = |row: usize, column: usize| (row * self.width + column) * self.channels;
        let offsets = [offset(y.low, x.low), offset(y.low, x.high), offset(y.high, x.low), offset(y.high, x.high)];
        let shares = [(1.0 - y.share) * (1.0 - x.share), (1.0 - y.share) * x.share, y.share * (1.0 - x.share), y.share * x.share];
        Corners { x, y, offsets, shares }
    }

    fn area(&self) -> usize {
        self.height * self.width
    }

    /// `[channels, area]` to `[area, channels]`, so that a pixel's channels lie together.
    fn channels_last(&self, image: &[f32], target: &mut Vec<f32>) {
        target.resize(image.len(), 0.0);
        for (channel, plane) in image.chunks_exact(self.area()).enumerate() {
            for (pixel, value) in plane.iter().enumerate() {
                target[pixel * self.channels + channel] = *value;
            }
        }
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (left, right) in left.chunks(8).zip(right.chunks(8)) {
        for ((lane, a), b) in lanes.iter_mut().zip(left).zip(right) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
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
            .zip(features.par_chunks_exact(self.channels * self.area()))
            .zip(positions.par_chunks_exact(self.neurons * 2))
            .for_each_init(Vec::new, |image, ((output, features), positions)| {
                self.channels_last(features, image);
                for ((value, position), weights) in
                    output.iter_mut().zip(positions.chunks_exact(2)).zip(weights.chunks_exact(self.channels))
                {
                    let corners = self.corners(position);
                    *value = corners
                        .offsets
                        .iter()
                        .zip(corners.shares)
                        .map(|(offset, share)| share * dot(&image[*offset..][..self.channels], weights))
                        .sum();
                }
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
        let wanted = [features.track_op(), positions.track_op(), weights.track_op()];
        let found = with_elements(features, |f| {
            with_elements(positions, |p| {
                with_elements(weights, |w| with_elements(gradient, |g| Ok(self.gradients(f, p, w, g, wanted))))
            })
        })?;
        let of = |wanted: bool, values: Vec<f32>, like: &Tensor| match wanted {
            true => Tensor::from_vec(values, like.dims(), &Device::Cpu).map(Some),
            false => Ok(None),
        };
        Ok((
            of(wanted[0], found.features, features)?,
            of(wanted[1], found.positions, positions)?,
            of(wanted[2], found.weights, weights)?,
        ))
    }
}

struct Gradients {
    features: Vec<f32>,
    positions: Vec<f32>,
    weights: Vec<f32>,
}

/// Images whose weight gradients are summed one after the other; the sums of such chunks are added in their order.
const CHUNK: usize = 4;

impl PointReadout {
    fn gradients(&self, features: &[f32], positions: &[f32], weights: &[f32], gradient: &[f32], wanted: [bool; 3]) -> Gradients {
        let image_length = self.channels * self.area();
        let mut into_features = if wanted[0] { vec![0.0; features.len()] } else { Vec::new() };
        let mut into_positions = vec![0.0; positions.len()];
        // Without a wanted feature gradient the chunks have nothing to write: as many empty ones stand in for them.
        let chunks = self.batch.div_ceil(CHUNK);
        let mut feature_chunks: Vec<&mut [f32]> = into_features.chunks_mut(CHUNK * image_length).collect();
        feature_chunks.resize_with(chunks, Default::default);
        let partial: Vec<Vec<f32>> = feature_chunks
            .into_par_iter()
            .zip(into_positions.par_chunks_mut(CHUNK * self.neurons * 2))
            .zip(features.par_chunks(CHUNK * image_length))
            .zip(positions.par_chunks(CHUNK * self.neurons * 2))
            .zip(gradient.par_chunks(CHUNK * self.neurons))
            .map(|((((into_features, into_positions), features), positions), gradient)| {
                let mut into_weights = if wanted[2] { vec![0.0; weights.len()] } else { Vec::new() };
                let (mut image, mut into_image) = (Vec::new(), Vec::new());
                for index in 0..features.len() / image_length {
                    self.channels_last(&features[index * image_length..][..image_length], &mut image);
                    into_image.clear();
                    into_image.resize(image_length, 0.0);
                    let range = index * self.neurons..(index + 1) * self.neurons;
                    let into_positions = &mut into_positions[2 * range.start..2 * range.end];
                    let positions = &positions[2 * range.start..2 * range.end];
                    self.one_image(
                        &image,
                        positions,
                        weights,
                        &gradient[range],
                        &mut into_image,
                        into_positions,
                        &mut into_weights,
                        wanted,
                    );
                    if wanted[0] {
                        let target = &mut into_features[index * image_length..][..image_length];
                        for (channel, plane) in target.chunks_exact_mut(self.area()).enumerate() {
                            for (pixel, value) in plane.iter_mut().enumerate() {
                                *value = into_image[pixel * self.channels + channel];
                            }
                        }
                    }
                }
                into_weights
            })
            .collect();
        let mut chunks = partial.into_iter();
        let mut into_weights = chunks.next().unwrap_or_default();
        for chunk in chunks {
            into_weights.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
        }
        Gradients { features: into_features, positions: into_positions, weights: into_weights }
    }

    /// One image, channels last, with its own feature gradient; weight gradients are added to what is there.
    fn one_image(
        &self,
        image: &[f32],
        positions: &[f32],
        weights: &[f32],
        gradient: &[f32],
        into_image: &mut [f32],
        into_positions: &mut [f32],
        into_weights: &mut [f32],
        wanted: [bool; 3],
    ) {
        for (neuron, g) in gradient.iter().enumerate() {
            if *g == 0.0 {
                continue;
            }
            let Corners { x, y, offsets, shares } = self.corners(&positions[2 * neuron..][..2]);
            let weights = &weights[neuron * self.channels..][..self.channels];
            if wanted[1] {
                let [a, b, c, d] = offsets.map(|offset| dot(&image[offset..][..self.channels], weights));
                // One unit of position is half the image.
                let along_x = ((1.0 - y.share) * (b - a) + y.share * (d - c)) * self.width as f32 / 2.0;
                let along_y = ((1.0 - x.share) * (c - a) + x.share * (d - b)) * self.height as f32 / 2.0;
                into_positions[2 * neuron] = if x.clamped { 0.0 } else { g * along_x };
                into_positions[2 * neuron + 1] = if y.clamped { 0.0 } else { g * along_y };
            }
            for (offset, share) in offsets.into_iter().zip(shares) {
                let factor = g * share;
                if wanted[0] {
                    into_image[offset..][..self.channels].iter_mut().zip(weights).for_each(|(to, weight)| *to += factor * weight);
                }
                if wanted[2] {
                    let to = &mut into_weights[neuron * self.channels..][..self.channels];
                    to.iter_mut().zip(&image[offset..][..self.channels]).for_each(|(to, value)| *to += factor * value);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "point_readout/tests.rs"]
mod tests;
