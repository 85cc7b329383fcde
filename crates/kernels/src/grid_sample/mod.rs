//! Bilinear sampling of all channels of an image at points of its own.
//!
//! The corners of a point are found once and serve every channel. Threads share images, so that the sums of the backward
//! pass, over the points that touch a pixel and over the channels of a point, run in one order.

use crate::Error;
use crate::arguments::{contiguous, image_sizes, stored_kind, with_elements};
use crate::bilinear::{Corners, Grid, slopes};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

const OP: &str = "grid_sample";

/// Values of all channels, `[batch, channels, points]`, of `features` `[batch, channels, height, width]` at `positions`
/// `[batch, points, 2]`.
///
/// A position is (x, y). With `align_corners`, -1 and 1 are the centres of the border pixels; without, their outer edges.
/// Beyond the centres of the border pixels their values hold, and a position there has no gradient along that axis, as in
/// PyTorch's `grid_sample` with border padding. Differentiable in both arguments; a gradient is computed only where one is
/// asked for.
///
/// ```
/// use brainprior_kernels::grid_sample;
/// use candle_core::{Device, Tensor};
///
/// let row = Tensor::new(&[[[[1f32, 2.0, 4.0]]]], &Device::Cpu)?;
/// let halfway = Tensor::new(&[[[0.5f32, 0.0]]], &Device::Cpu)?;
/// assert_eq!(grid_sample(&row, &halfway, true)?.to_vec3::<f32>()?, [[[3.0]]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// Ranks, sizes or kinds that do not fit (see [`Error`]).
pub fn grid_sample(features: &Tensor, positions: &Tensor, align_corners: bool) -> Result<Tensor> {
    stored_kind(OP, &[("features", features)], &[("positions", positions)])?;
    let [batch, channels, height, width] = image_sizes(OP, "features", features)?;
    let points = match *positions.dims() {
        [images, points, 2] if images == batch && points > 0 => points,
        _ => {
            return Err(Error::Shape {
                op: OP,
                argument: "positions",
                expected: format!("[{batch}, points, 2], at least one point"),
                found: positions.dims().to_vec(),
                remedy: "give (x, y) of each point for each image",
            }
            .into());
        }
    };
    #[cfg(feature = "cuda")]
    if features.device().is_cuda() {
        return crate::cuda::grid_sample::grid_sample(features, positions, align_corners);
    }
    let op = GridSample { batch, channels, points, grid: Grid { height, width, align_corners } };
    features.contiguous()?.apply_op2(&positions.contiguous()?, op)
}

/// `(features, positions) -> values`
struct GridSample {
    batch: usize,
    channels: usize,
    points: usize,
    grid: Grid,
}

impl GridSample {
    /// Floats of one image.
    fn image(&self) -> usize {
        self.channels * self.grid.area()
    }

    /// Floats that one image gives.
    fn values(&self) -> usize {
        self.channels * self.points
    }

    fn corners(&self, positions: &[f32], corners: &mut Vec<Corners>) {
        corners.clear();
        corners.extend(positions.chunks_exact(2).map(|position| self.grid.corners(position)));
    }

    /// Empty where nobody asked for the gradient.
    fn gradients(&self, features: &[f32], positions: &[f32], upstream: &[f32], wanted: [bool; 2]) -> [Vec<f32>; 2] {
        let zeros = |wanted: bool, count: usize| if wanted { vec![0.0; count] } else { Vec::new() };
        let mut into_features = zeros(wanted[0], features.len());
        let mut into_positions = zeros(wanted[1], positions.len());
        // Where there is nothing to write to, as many empty parts stand in for the images.
        fn parts(values: &mut [f32], size: usize, count: usize) -> Vec<&mut [f32]> {
            let mut parts: Vec<&mut [f32]> = values.chunks_mut(size).collect();
            parts.resize_with(count, Default::default);
            parts
        }
        parts(&mut into_features, self.image(), self.batch)
            .into_par_iter()
            .zip(parts(&mut into_positions, self.points * 2, self.batch))
            .zip(features.par_chunks_exact(self.image()))
            .zip(positions.par_chunks_exact(self.points * 2))
            .zip(upstream.par_chunks_exact(self.values()))
            .for_each_init(Vec::new, |corners, ((((into_features, into_positions), features), positions), upstream)| {
                self.corners(positions, corners);
                let rows = upstream.chunks_exact(self.points);
                if !into_features.is_empty() {
                    for (plane, row) in into_features.chunks_exact_mut(self.grid.area()).zip(rows.clone()) {
                        scatter(corners, row, plane);
                    }
                }
                if !into_positions.is_empty() {
                    for (plane, row) in features.chunks_exact(self.grid.area()).zip(rows) {
                        add_slopes(corners, plane, row, into_positions);
                    }
                    let scale = self.grid.pixels_per_unit();
                    for (corners, position) in corners.iter().zip(into_positions.chunks_exact_mut(2)) {
                        position[0] *= if corners.x.clamped { 0.0 } else { scale[0] };
                        position[1] *= if corners.y.clamped { 0.0 } else { scale[1] };
                    }
                }
            });
        [into_features, into_positions]
    }
}

fn gather(corners: &[Corners], plane: &[f32], row: &mut [f32]) {
    for (corners, value) in corners.iter().zip(row) {
        let [a, b, c, d] = corners.pixels.map(|pixel| plane[pixel]);
        let [pa, pb, pc, pd] = corners.shares;
        *value = (a * pa + b * pb) + (c * pc + d * pd);
    }
}

fn scatter(corners: &[Corners], row: &[f32], plane: &mut [f32]) {
    for (corners, value) in corners.iter().zip(row) {
        for (pixel, share) in corners.pixels.into_iter().zip(corners.shares) {
            plane[pixel] += value * share;
        }
    }
}

fn add_slopes(corners: &[Corners], plane: &[f32], row: &[f32], positions: &mut [f32]) {
    for ((corners, upstream), position) in corners.iter().zip(row).zip(positions.chunks_exact_mut(2)) {
        let along = slopes(corners.pixels.map(|pixel| plane[pixel]), corners);
        position[0] += upstream * along[0];
        position[1] += upstream * along[1];
    }
}

impl CustomOp2 for GridSample {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        features: &CpuStorage,
        features_layout: &Layout,
        positions: &CpuStorage,
        positions_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (features, positions) = (contiguous(features, features_layout)?, contiguous(positions, positions_layout)?);
        let mut output = vec![0.0; self.batch * self.values()];
        output
            .par_chunks_exact_mut(self.values())
            .zip(features.par_chunks_exact(self.image()))
            .zip(positions.par_chunks_exact(self.points * 2))
            .for_each_init(Vec::new, |corners, ((output, features), positions)| {
                self.corners(positions, corners);
                let planes = features.chunks_exact(self.grid.area());
                planes.zip(output.chunks_exact_mut(self.points)).for_each(|(plane, row)| gather(corners, plane, row));
            });
        Ok((CpuStorage::F32(output), Shape::from((self.batch, self.channels, self.points))))
    }

    fn bwd(
        &self,
        features: &Tensor,
        positions: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted = [features.track_op(), positions.track_op()];
        let [into_features, into_positions] = with_elements(features, |f| {
            with_elements(positions, |p| with_elements(upstream, |g| Ok(self.gradients(f, p, g, wanted))))
        })?;
        let of = |wanted: bool, values: Vec<f32>, like: &Tensor| {
            wanted.then(|| Tensor::from_vec(values, like.dims(), &Device::Cpu)).transpose()
        };
        Ok((of(wanted[0], into_features, features)?, of(wanted[1], into_positions, positions)?))
    }
}

#[cfg(test)]
mod tests;
