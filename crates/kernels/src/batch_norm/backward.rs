//! The gradients, a channel at a time.

use super::{Activation, BatchNorm};
use crate::arguments::with_elements;
use crate::channels::{planes, sum_by, sum_by_pairs};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// Gradients with respect to x, scale and shift (stacked), and the residual; those that nobody asks for are left out.
pub(super) fn run(
    op: &BatchNorm,
    x: &Tensor,
    affine: &Tensor,
    y: &Tensor,
    gradient: &Tensor,
    residual: bool,
) -> Result<[Option<Tensor>; 3]> {
    let (wants_x, wants_affine) = (x.track_op(), affine.track_op());
    let dims = &op.sizes.dims[..];
    with_elements(x, |x| {
        with_elements(affine, |affine| {
            with_elements(y, |y| {
                with_elements(gradient, |gradient| {
                    let before = before_activation(op.activation, y, gradient);
                    let found = channels(op, x, affine, &before, wants_x);
                    let of = |values: Vec<f32>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu).map(Some);
                    Ok([
                        if wants_x { of(found.input, dims)? } else { None },
                        if wants_affine { of(found.affine, &[2, op.sizes.channels])? } else { None },
                        if residual { of(before, dims)? } else { None },
                    ])
                })
            })
        })
    })
}

/// The gradient of what the activation was given.
fn before_activation(activation: Activation, y: &[f32], gradient: &[f32]) -> Vec<f32> {
    /// Values that one thread takes at a time.
    const PART: usize = 1 << 14;
    let mut before = vec![0.0; y.len()];
    before.par_chunks_mut(PART).zip(y.par_chunks(PART)).zip(gradient.par_chunks(PART)).for_each(|((target, y), gradient)| {
        let pairs = target.iter_mut().zip(y).zip(gradient);
        match activation {
            Activation::Identity => target.copy_from_slice(gradient),
            Activation::Relu => pairs.for_each(|((to, y), g)| *to = Activation::Relu.slope(*y) * g),
            Activation::Elu => pairs.for_each(|((to, y), g)| *to = Activation::Elu.slope(*y) * g),
        }
    });
    before
}

struct Gradients {
    input: Vec<f32>,
    affine: Vec<f32>,
}

fn channels(op: &BatchNorm, x: &[f32], affine: &[f32], before: &[f32], wants_input: bool) -> Gradients {
    let s = op.sizes;
    let moments = op.moments.get().expect("the forward pass came first");
    let mut input = if wants_input { vec![0.0; x.len()] } else { Vec::new() };
    let targets = match wants_input {
        true => planes(&mut input, s.channels, s.area),
        false => (0..s.channels).map(|_| Vec::new()).collect(),
    };
    let count = (s.batch * s.area) as f64;
    let sums: Vec<(f32, f32)> = targets
        .into_par_iter()
        .enumerate()
        .map(|(channel, targets)| {
            let part = |image: usize| {
                let start = (image * s.channels + channel) * s.area;
                start..start + s.area
            };
            let (mean, inverse) = (moments.mean[channel], moments.inverse_deviation[channel]);
            let (mut shift, mut scale) = (0.0, 0.0);
            for image in 0..s.batch {
                let range = part(image);
                shift += sum_by(&before[range.clone()], |g| g);
                scale += sum_by_pairs(&before[range.clone()], &x[range], |g, x| g * (x - mean)) * f64::from(inverse);
            }
            let factor = affine[channel] * inverse;
            // With the batch's own statistics, the gradient has neither a mean nor a component along x.
            let (offset, slope) = match op.training {
                true => ((shift / count) as f32, (scale / count) as f32 * inverse),
                false => (0.0, 0.0),
            };
            for (image, target) in targets.into_iter().enumerate() {
                let range = part(image);
                for ((to, g), x) in target.iter_mut().zip(&before[range.clone()]).zip(&x[range]) {
                    *to = factor * (g - offset - (x - mean) * slope);
                }
            }
            (scale as f32, shift as f32)
        })
        .collect();
    let (mut affine, shifts): (Vec<f32>, Vec<f32>) = sums.into_iter().unzip();
    affine.extend(shifts);
    Gradients { input, affine }
}
