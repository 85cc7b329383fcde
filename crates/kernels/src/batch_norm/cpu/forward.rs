//! Statistics and normalized values, one group of channels at a time: read from memory once, then
//! from the cache.

use super::{Activation, BatchNorm, Moments, inverse_deviation};
use crate::batch_norm::activation::with_activation;
use crate::channels::Sums;
use crate::elementary::exp_minus_one;
use crate::simd::vectorized;
use crate::uninit::{Uninit, written};
use rayon::prelude::*;

pub(super) fn run(op: &BatchNorm, x: &[f32], affine: &[f32], residual: Option<&[f32]>) -> Vec<f32> {
    let (scale, shift) = affine.split_at(op.sizes.groups().channels);
    // SAFETY: the groups cover all values, and each plane of each channel is written.
    let (y, found) = unsafe { written(x.len(), |y| fill_groups(op, x, scale, shift, residual, y)) };
    if op.given.is_none() {
        let (mean, variance): (Vec<f32>, Vec<f32>) = found.into_iter().flatten().unzip();
        // A second forward pass of one operation would compute the same values.
        let _ = op.found.set(Moments::new(mean, variance, op.eps));
    }
    y
}

/// Writes every value, and returns the means and variances of the channels of each group if they
/// are the batch's.
fn fill_groups(
    op: &BatchNorm,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    residual: Option<&[f32]>,
    y: &mut [Uninit],
) -> Vec<Vec<(f32, f32)>> {
    let groups = op.sizes.groups();
    groups
        .split(y)
        .into_par_iter()
        .enumerate()
        .map(|(group, mut targets)| {
            let mut found = Vec::new();
            for (position, channel) in groups.channels_of(group).enumerate() {
                let planes = || (0..groups.batch).map(|image| groups.plane(image, channel));
                let (mean, deviation) = match op.given.as_deref() {
                    Some(given) => (given.mean[channel], given.inverse_deviation[channel]),
                    None => {
                        let (mean, variance) = moments(
                            (groups.batch * groups.area) as f64,
                            planes().map(|plane| &x[plane]),
                        );
                        found.push((mean, variance));
                        (mean, inverse_deviation(f64::from(variance), op.eps))
                    }
                };
                let line = Line { mean, factor: scale[channel] * deviation, shift: shift[channel] };
                for (target, plane) in targets.iter_mut().zip(planes()) {
                    let target = &mut target[position * groups.area..][..groups.area];
                    normalize(
                        target,
                        &x[plane.clone()],
                        residual.map(|residual| &residual[plane]),
                        line,
                        op.activation,
                    );
                }
            }
            found
        })
        .collect()
}

/// The affine map of a channel before the activation.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub mean: f32,
    pub factor: f32,
    pub shift: f32,
}

vectorized! {
    fn normalize(y: &mut [Uninit], x: &[f32], residual: Option<&[f32]>, line: Line, activation: Activation) {
        with_activation!(activation, |active| fill(y, x, residual, line, active))
    }
}

vectorized! {
    /// Like [`normalize`], of values that are replaced.
    pub(super) fn normalize_in_place(values: &mut [f32], residual: Option<&[f32]>, line: Line, activation: Activation) {
        let Line { mean, factor, shift } = line;
        with_activation!(activation, |active| match residual {
            Some(residual) => {
                values.iter_mut().zip(residual).for_each(|(z, r)| *z = active((*z - mean) * factor + shift + r));
            }
            None => values.iter_mut().for_each(|z| *z = active((*z - mean) * factor + shift)),
        })
    }
}

#[inline(always)]
fn fill(
    y: &mut [Uninit],
    x: &[f32],
    residual: Option<&[f32]>,
    line: Line,
    activation: impl Fn(f32) -> f32,
) {
    let Line { mean, factor, shift } = line;
    match residual {
        Some(residual) => {
            for ((y, x), r) in y.iter_mut().zip(x).zip(residual) {
                y.write(activation((x - mean) * factor + shift + r));
            }
        }
        None => {
            for (y, x) in y.iter_mut().zip(x) {
                y.write(activation((x - mean) * factor + shift));
            }
        }
    }
}

/// Mean and biased variance, in two passes so that a large mean costs no accuracy.
fn moments<'a>(count: f64, planes: impl Iterator<Item = &'a [f32]> + Clone) -> (f32, f32) {
    let mut sums = Sums::new();
    planes.clone().for_each(|plane| add_values(&mut sums, plane));
    let [sum] = sums.totals();
    let mean = sum / count;
    let center = mean as f32;
    let mut sums = Sums::new();
    planes.for_each(|plane| add_squares(&mut sums, plane, center));
    let [squares] = sums.totals();
    // Corrects for the squares being taken around the rounded mean.
    let rounding = mean - f64::from(center);
    (center, (squares / count - rounding * rounding).max(0.0) as f32)
}

vectorized! {
    pub(crate) fn add_values(sums: &mut Sums<1>, plane: &[f32]) {
        sums.add(plane, plane, plane, |x, _, _| [x]);
    }
}

vectorized! {
    fn add_squares(sums: &mut Sums<1>, plane: &[f32], center: f32) {
        sums.add(plane, plane, plane, |x, _, _| [(x - center) * (x - center)]);
    }
}
