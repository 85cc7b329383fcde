//! The corners of a point are computed once for all channels. Threads divide images, so that the
//! sums of the backward pass, over the points that touch a pixel and over the channels of a point,
//! have a fixed order.

use super::OP;
use crate::arguments::{contiguous, with_elements};
use crate::bilinear::{Corners, Grid, slopes};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// `(features, positions) -> values`
pub(super) struct GridSample {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) points: usize,
    pub(super) grid: Grid,
}

impl GridSample {
    /// Floats per image.
    fn image(&self) -> usize {
        self.channels * self.grid.area()
    }

    /// Output floats per image.
    fn values(&self) -> usize {
        self.channels * self.points
    }

    fn corners(&self, positions: &[f32], corners: &mut Vec<Corners>) {
        corners.clear();
        corners.extend(positions.chunks_exact(2).map(|position| self.grid.corners(position)));
    }

    /// The gradients; empty if not requested.
    fn gradients(
        &self,
        features: &[f32],
        positions: &[f32],
        upstream: &[f32],
        wanted: [bool; 2],
    ) -> [Vec<f32>; 2] {
        let zeros = |wanted: bool, count: usize| if wanted { vec![0.0; count] } else { Vec::new() };
        let mut into_features = zeros(wanted[0], features.len());
        let mut into_positions = zeros(wanted[1], positions.len());
        // If a gradient is not requested, empty parts stand in for the images.
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
            .for_each_init(
                Vec::new,
                |corners, ((((into_features, into_positions), features), positions), upstream)| {
                    self.corners(positions, corners);
                    let rows = upstream.chunks_exact(self.points);
                    if !into_features.is_empty() {
                        for (plane, row) in
                            into_features.chunks_exact_mut(self.grid.area()).zip(rows.clone())
                        {
                            scatter(corners, row, plane);
                        }
                    }
                    if !into_positions.is_empty() {
                        for (plane, row) in features.chunks_exact(self.grid.area()).zip(rows) {
                            add_slopes(corners, plane, row, into_positions);
                        }
                        let scale = self.grid.pixels_per_unit();
                        for (corners, position) in
                            corners.iter().zip(into_positions.chunks_exact_mut(2))
                        {
                            position[0] *= if corners.x.clamped { 0.0 } else { scale[0] };
                            position[1] *= if corners.y.clamped { 0.0 } else { scale[1] };
                        }
                    }
                },
            );
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
    for ((corners, upstream), position) in
        corners.iter().zip(row).zip(positions.chunks_exact_mut(2))
    {
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
        let (features, positions) =
            (contiguous(features, features_layout)?, contiguous(positions, positions_layout)?);
        let mut output = vec![0.0; self.batch * self.values()];
        output
            .par_chunks_exact_mut(self.values())
            .zip(features.par_chunks_exact(self.image()))
            .zip(positions.par_chunks_exact(self.points * 2))
            .for_each_init(Vec::new, |corners, ((output, features), positions)| {
                self.corners(positions, corners);
                let planes = features.chunks_exact(self.grid.area());
                planes
                    .zip(output.chunks_exact_mut(self.points))
                    .for_each(|(plane, row)| gather(corners, plane, row));
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
            with_elements(positions, |p| {
                with_elements(upstream, |g| Ok(self.gradients(f, p, g, wanted)))
            })
        })?;
        let of = |wanted: bool, values: Vec<f32>, like: &Tensor| {
            wanted.then(|| Tensor::from_vec(values, like.dims(), &Device::Cpu)).transpose()
        };
        Ok((of(wanted[0], into_features, features)?, of(wanted[1], into_positions, positions)?))
    }
}
