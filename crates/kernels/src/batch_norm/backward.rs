//! The gradients, a group of channels at a time: read from memory once, then from the cache.

use super::{Activation, BatchNorm, Moments};
use crate::arguments::with_elements;
use crate::channels::{Groups, Sums};
use crate::vectorized::vectorized;
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Gradients with respect to x, scale and shift (stacked), and the residual; those that nobody asks for are left out.
pub(super) fn run(
    op: &BatchNorm,
    x: &Tensor,
    affine: &Tensor,
    y: &Tensor,
    gradient: &Tensor,
    residual: bool,
) -> Result<[Option<Tensor>; 3]> {
    let wanted = Wanted { input: x.track_op(), affine: affine.track_op(), residual };
    let found = with_elements(x, |x| {
        with_elements(affine, |affine| {
            with_elements(y, |y| with_elements(gradient, |gradient| Ok(gradients(op, x, affine, y, gradient, wanted))))
        })
    })?;
    let of = |wanted: bool, values: Vec<f32>, shape: &[usize]| match wanted {
        true => Tensor::from_vec(values, shape, &Device::Cpu).map(Some),
        false => Ok(None),
    };
    Ok([
        of(wanted.input, found.input, &op.sizes.dims)?,
        of(wanted.affine, found.affine, &[2, op.sizes.groups().channels])?,
        of(wanted.residual, found.residual, &op.sizes.dims)?,
    ])
}

#[derive(Clone, Copy)]
struct Wanted {
    input: bool,
    affine: bool,
    residual: bool,
}

/// Empty where nobody asked.
struct Gradients {
    input: Vec<f32>,
    affine: Vec<f32>,
    residual: Vec<f32>,
}

fn gradients(op: &BatchNorm, x: &[f32], affine: &[f32], y: &[f32], gradient: &[f32], wanted: Wanted) -> Gradients {
    let groups = op.sizes.groups();
    let moments = op.moments().expect("the forward pass came first");
    let if_wanted = |wanted: bool| if wanted { vec![0.0; x.len()] } else { Vec::new() };
    let (mut input, mut residual) = (if_wanted(wanted.input), if_wanted(wanted.residual));
    let split = |values| -> Vec<Vec<&mut [f32]>> {
        let mut parts = groups.split(values);
        parts.resize_with(groups.count(), Vec::new);
        parts
    };
    let sums: Vec<Vec<[f32; 2]>> = split(&mut input)
        .into_par_iter()
        .zip(split(&mut residual))
        .enumerate()
        .map(|(group, (mut into_input, mut into_residual))| {
            let source = Source { op, groups, x, y, gradient, moments };
            groups
                .channels_of(group)
                .enumerate()
                .map(|(position, channel)| {
                    let part = position * groups.area..(position + 1) * groups.area;
                    source.one_channel(channel, affine[channel], part, &mut into_input, &mut into_residual, wanted)
                })
                .collect()
        })
        .collect();
    let (mut affine, shifts): (Vec<f32>, Vec<f32>) = sums.into_iter().flatten().map(|[scale, shift]| (scale, shift)).unzip();
    affine.extend(shifts);
    Gradients { input, affine, residual }
}

struct Source<'a> {
    op: &'a BatchNorm,
    groups: Groups,
    x: &'a [f32],
    y: &'a [f32],
    gradient: &'a [f32],
    moments: &'a Moments,
}

impl Source<'_> {
    /// Writes the channel's part of the wanted gradients of each image; gives those of its scale and its shift.
    fn one_channel(
        &self,
        channel: usize,
        scale: f32,
        part: Range<usize>,
        into_input: &mut [&mut [f32]],
        into_residual: &mut [&mut [f32]],
        wanted: Wanted,
    ) -> [f32; 2] {
        let (mean, deviation) = (self.moments.mean[channel], self.moments.inverse_deviation[channel]);
        let planes = || (0..self.groups.batch).map(|image| (image, self.groups.plane(image, channel)));
        for (image, plane) in planes().take(into_residual.len()) {
            let target = &mut into_residual[image][part.clone()];
            before_activation(target, &self.y[plane.clone()], &self.gradient[plane], self.op.activation);
        }
        // The residual's gradient is the one before the activation, so that it need not be worked out again.
        let before = |image: usize, plane: Range<usize>| match into_residual.get(image) {
            Some(known) => (&known[part.clone()], &known[part.clone()], Activation::Identity),
            None => (&self.y[plane.clone()], &self.gradient[plane], self.op.activation),
        };
        let training = self.op.given.is_none();
        let mut sums = Sums::new();
        if wanted.affine || (wanted.input && training) {
            for (image, plane) in planes() {
                let (y, gradient, activation) = before(image, plane.clone());
                add_gradients(&mut sums, &self.x[plane], y, gradient, mean, activation);
            }
        }
        let [shift_sum, centered_sum] = sums.totals();
        let scale_sum = centered_sum * f64::from(deviation);
        let factor = scale * deviation;
        // With the batch's own statistics, the gradient has neither a mean nor a component along x.
        let count = (self.groups.batch * self.groups.area) as f64;
        let along = match training {
            true => Some(((shift_sum / count) as f32, (scale_sum / count * f64::from(deviation)) as f32)),
            false => None,
        };
        for (image, plane) in planes().take(into_input.len()) {
            let (y, gradient, activation) = before(image, plane.clone());
            let target = &mut into_input[image][part.clone()];
            input_gradient(target, &self.x[plane], y, gradient, mean, factor, along, activation);
        }
        [scale_sum as f32, shift_sum as f32]
    }
}

/// Calls a function with the activation's own function of (its value, the gradient behind it): the gradient before it.
macro_rules! with_slope {
    ($activation:expr, |$before:ident| $call:expr) => {
        match $activation {
            Activation::Identity => {
                let $before = |_: f32, gradient: f32| gradient;
                $call
            }
            Activation::Relu => {
                let $before = |y: f32, gradient: f32| if y > 0.0 { gradient } else { 0.0 };
                $call
            }
            Activation::Elu => {
                let $before = |y: f32, gradient: f32| if y > 0.0 { gradient } else { gradient * (y + 1.0) };
                $call
            }
        }
    };
}

vectorized! {
    fn before_activation(target: &mut [f32], y: &[f32], gradient: &[f32], activation: Activation) {
        with_slope!(activation, |before| {
            for ((to, y), g) in target.iter_mut().zip(y).zip(gradient) {
                *to = before(*y, *g);
            }
        })
    }
}

vectorized! {
    /// Adds up the gradients before the activation, and those times the centred values.
    fn add_gradients(sums: &mut Sums<2>, x: &[f32], y: &[f32], gradient: &[f32], mean: f32, activation: Activation) {
        with_slope!(activation, |before| sums.add(x, y, gradient, |x, y, g| {
            let g = before(y, g);
            [g, g * (x - mean)]
        }))
    }
}

vectorized! {
    /// `factor (g - offset - (x - mean) slope)` with g before the activation; without the last two for given statistics.
    fn input_gradient(
        target: &mut [f32], x: &[f32], y: &[f32], gradient: &[f32],
        mean: f32, factor: f32, along: Option<(f32, f32)>, activation: Activation,
    ) {
        match along {
            Some((offset, slope)) => with_slope!(activation, |before| {
                for (((to, x), y), g) in target.iter_mut().zip(x).zip(y).zip(gradient) {
                    *to = factor * (before(*y, *g) - offset - (x - mean) * slope);
                }
            }),
            None => with_slope!(activation, |before| {
                for ((to, y), g) in target.iter_mut().zip(y).zip(gradient) {
                    *to = factor * before(*y, *g);
                }
            }),
        }
    }
}
