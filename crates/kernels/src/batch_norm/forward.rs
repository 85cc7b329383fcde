//! Statistics and normalised values, a channel at a time.

use super::{Activation, BatchNorm, Moments, Sizes, inverse_deviation};
use crate::channels::{planes, sum_by};
use rayon::prelude::*;

pub(super) fn run(op: &BatchNorm, x: &[f32], affine: &[f32], residual: Option<&[f32]>) -> Vec<f32> {
    let s = op.sizes;
    if op.training {
        let found: Vec<(f32, f32)> = (0..s.channels).into_par_iter().map(|channel| moments(s, x, channel)).collect();
        let inverse = found.iter().map(|(_, variance)| inverse_deviation(f64::from(*variance), op.eps)).collect();
        let (mean, variance) = found.into_iter().unzip();
        // A second forward pass of one operation would find the same values.
        let _ = op.moments.set(Moments { mean, variance, inverse_deviation: inverse });
    }
    let moments = op.moments.get().expect("set above, or given");
    let mut y = vec![0.0; x.len()];
    let (scale, shift) = affine.split_at(s.channels);
    planes(&mut y, s.channels, s.area).into_par_iter().enumerate().for_each(|(channel, targets)| {
        let factor = scale[channel] * moments.inverse_deviation[channel];
        let offset = shift[channel] - moments.mean[channel] * factor;
        for (image, target) in targets.into_iter().enumerate() {
            let start = (image * s.channels + channel) * s.area;
            let source = &x[start..][..s.area];
            let residual = residual.map(|residual| &residual[start..][..s.area]);
            match op.activation {
                Activation::Identity => fill(target, source, residual, factor, offset, |z| Activation::Identity.apply(z)),
                Activation::Relu => fill(target, source, residual, factor, offset, |z| Activation::Relu.apply(z)),
                Activation::Elu => fill(target, source, residual, factor, offset, |z| Activation::Elu.apply(z)),
            }
        }
    });
    y
}

#[inline(always)]
fn fill(target: &mut [f32], source: &[f32], residual: Option<&[f32]>, factor: f32, offset: f32, activation: impl Fn(f32) -> f32) {
    match residual {
        Some(residual) => {
            for ((y, x), r) in target.iter_mut().zip(source).zip(residual) {
                *y = activation(x * factor + offset + r);
            }
        }
        None => {
            for (y, x) in target.iter_mut().zip(source) {
                *y = activation(x * factor + offset);
            }
        }
    }
}

/// Mean and biased variance, in two passes so that a large mean costs no accuracy.
fn moments(s: Sizes, x: &[f32], channel: usize) -> (f32, f32) {
    let parts = || (0..s.batch).map(|image| &x[(image * s.channels + channel) * s.area..][..s.area]);
    let count = (s.batch * s.area) as f64;
    let mean = parts().map(|part| sum_by(part, |x| x)).sum::<f64>() / count;
    let center = mean as f32;
    let squares = parts().map(|part| sum_by(part, |x| (x - center) * (x - center))).sum::<f64>() / count;
    let correction = mean - f64::from(center);
    (center, (squares - correction * correction).max(0.0) as f32)
}
