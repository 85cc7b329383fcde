//! One image, the channels of each pixel together: reading it at the neurons' positions, and the gradients of that.

use super::PointReadout;
use crate::bilinear::{Corners, slopes};
use crate::simd::Isa;
use crate::transpose::transpose;
use crate::vectorized::vectorized;

/// The channels of the four pixels around a position.
#[inline(always)]
fn channels<'a>(op: &PointReadout, corners: &Corners, pixels: &'a [f32]) -> [&'a [f32]; 4] {
    corners.pixels.map(|pixel| &pixels[pixel * op.channels..][..op.channels])
}

/// `[channels, area]` to `[area, channels]`.
pub(super) fn channels_last(features: &[f32], pixels: &mut [f32], channels: usize) {
    let area = features.len() / channels;
    transpose(Isa::best(), [channels, area], features, area, pixels, channels);
}

/// `[area, channels]` to `[channels, area]`.
pub(super) fn channels_first(pixels: &[f32], features: &mut [f32], channels: usize) {
    let area = features.len() / channels;
    transpose(Isa::best(), [area, channels], pixels, channels, features, area);
}

const LANES: usize = 16;

/// `SUMS` sums over the channels, in lanes whose order is fixed. `terms` gets a channel.
#[inline(always)]
fn over_channels<const SUMS: usize>(channels: usize, mut terms: impl FnMut(usize) -> [f32; SUMS]) -> [f32; SUMS] {
    let mut lanes = [[0.0f32; LANES]; SUMS];
    let whole = channels / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for lane in 0..LANES {
            let terms = terms(start + lane);
            for sum in 0..SUMS {
                lanes[sum][lane] += terms[sum];
            }
        }
    }
    for channel in whole..channels {
        let terms = terms(channel);
        for sum in 0..SUMS {
            lanes[sum][channel - whole] += terms[sum];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lanes in &mut lanes {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
        }
        width /= 2;
    }
    lanes.map(|lanes| lanes[0])
}

vectorized! {
    /// Values of all neurons for one image.
    pub(super) fn read(op: &PointReadout, pixels: &[f32], positions: &[f32], weights: &[f32], output: &mut [f32]) {
        let rows = weights.chunks_exact(op.channels);
        for ((value, position), weights) in output.iter_mut().zip(positions.chunks_exact(2)).zip(rows) {
            let corners = op.grid.corners(position);
            let [a, b, c, d] = channels(op, &corners, pixels);
            let [pa, pb, pc, pd] = corners.shares;
            let (a, b, c, d) = (&a[..weights.len()], &b[..weights.len()], &c[..weights.len()], &d[..weights.len()]);
            [*value] = over_channels(weights.len(), |i| [weights[i] * ((a[i] * pa + b[i] * pb) + (c[i] * pc + d[i] * pd))]);
        }
    }
}

/// Where the gradients of one image go; empty where nobody asks for them.
pub(super) struct Targets<'a> {
    /// As the image: added to.
    pub pixels: &'a mut [f32],
    /// `[neurons, 2]`: set.
    pub positions: &'a mut [f32],
    /// `[neurons, channels]`: added to.
    pub weights: &'a mut [f32],
}

vectorized! {
    /// Gradients of one image.
    pub(super) fn differentiate(
        op: &PointReadout, pixels: &[f32], positions: &[f32], weights: &[f32], gradient: &[f32], into: &mut Targets,
    ) {
        let rows = weights.chunks_exact(op.channels);
        for (neuron, ((g, position), weights)) in gradient.iter().zip(positions.chunks_exact(2)).zip(rows).enumerate() {
            let corners = op.grid.corners(position);
            if !into.positions.is_empty() {
                let along = weighed_slopes(op, &corners, pixels, weights);
                into.positions[2 * neuron] = if corners.x.clamped { 0.0 } else { g * along[0] };
                into.positions[2 * neuron + 1] = if corners.y.clamped { 0.0 } else { g * along[1] };
            }
            if !into.weights.is_empty() {
                let [a, b, c, d] = channels(op, &corners, pixels);
                let [pa, pb, pc, pd] = corners.shares.map(|share| share * g);
                let target = &mut into.weights[neuron * op.channels..][..op.channels];
                for ((((to, a), b), c), d) in target.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *to += (a * pa + b * pb) + (c * pc + d * pd);
                }
            }
            if !into.pixels.is_empty() {
                for (pixel, share) in corners.pixels.into_iter().zip(corners.shares) {
                    let factor = g * share;
                    let target = &mut into.pixels[pixel * op.channels..][..op.channels];
                    target.iter_mut().zip(weights).for_each(|(to, weight)| *to += factor * weight);
                }
            }
        }
    }
}

/// How a neuron's value changes along x and y.
#[inline(always)]
fn weighed_slopes(op: &PointReadout, corners: &Corners, pixels: &[f32], weights: &[f32]) -> [f32; 2] {
    let [a, b, c, d] = channels(op, corners, pixels);
    let (a, b, c, d) = (&a[..weights.len()], &b[..weights.len()], &c[..weights.len()], &d[..weights.len()]);
    let [along_x, along_y] =
        over_channels(weights.len(), |i| slopes([a[i], b[i], c[i], d[i]], corners).map(|slope| weights[i] * slope));
    let [per_x, per_y] = op.grid.pixels_per_unit();
    [along_x * per_x, along_y * per_y]
}
