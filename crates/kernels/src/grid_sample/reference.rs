//! The definition, in f64.

use super::cpu::GridSample;
use crate::bilinear::Grid;

/// Bilinear interpolation as a weighted mean over all pixels, in f64.
pub(super) fn reference(op: &GridSample, features: &[f64], positions: &[f64]) -> Vec<f64> {
    let hat = |pixel: f64, at: usize| (1.0 - (pixel - at as f64).abs()).max(0.0);
    let Grid { height, width, align_corners } = op.grid;
    let mut output = Vec::new();
    for image in 0..op.batch {
        for channel in 0..op.channels {
            for point in 0..op.points {
                let at = |axis: usize, size: usize| {
                    let unit = (positions[(image * op.points + point) * 2 + axis] + 1.0) / 2.0;
                    let last = (size - 1) as f64;
                    (if align_corners { unit * last } else { unit * size as f64 - 0.5 })
                        .clamp(0.0, last)
                };
                let (px, py) = (at(0, width), at(1, height));
                let plane = &features[(image * op.channels + channel) * op.grid.area()..];
                let weight = |pixel: usize| hat(py, pixel / width) * hat(px, pixel % width);
                output.push((0..op.grid.area()).map(|pixel| plane[pixel] * weight(pixel)).sum());
            }
        }
    }
    output
}
