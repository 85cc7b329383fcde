//! The gradients, one group of channels at a time: read from memory once, then from the cache.

use super::{Activation, BatchNorm, Moments};
use crate::arguments::{with_all_elements, with_elements};
use crate::batch_norm::activation::with_slope;
use crate::channels::{Groups, Sums};
use crate::simd::vectorized;
use crate::uninit::{Uninit, assume_written, assume_written_mut, written};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Gradients with respect to x, scale and shift (stacked), and the residual; those that are not
/// requested are left out.
pub(super) fn run(
    op: &BatchNorm,
    x: &Tensor,
    affine: &Tensor,
    y: &Tensor,
    gradients: &[Tensor],
    [input, scale_and_shift, residual]: [bool; 3],
) -> Result<[Option<Tensor>; 3]> {
    // Several gradients are summed in the buffer of the input's or the residual's gradient.
    let wanted = Wanted {
        input: input || (gradients.len() > 1 && !residual),
        affine: scale_and_shift,
        residual,
    };
    let found = with_elements(x, |x| {
        with_elements(affine, |affine| {
            with_elements(y, |y| {
                with_all_elements(gradients, |gradients| {
                    Ok(self::gradients(op, x, affine, y, gradients, wanted))
                })
            })
        })
    })?;
    let of = |wanted: bool, values: Vec<f32>, shape: &[usize]| match wanted {
        true => Tensor::from_vec(values, shape, &Device::Cpu).map(Some),
        false => Ok(None),
    };
    Ok([
        of(input, found.input, &op.sizes.dims)?,
        of(scale_and_shift, found.affine, &[2, op.sizes.groups().channels])?,
        of(residual, found.residual, &op.sizes.dims)?,
    ])
}

#[derive(Clone, Copy)]
struct Wanted {
    input: bool,
    affine: bool,
    residual: bool,
}

/// Empty if not requested.
struct Gradients {
    input: Vec<f32>,
    affine: Vec<f32>,
    residual: Vec<f32>,
}

fn gradients(
    op: &BatchNorm,
    x: &[f32],
    affine: &[f32],
    y: &[f32],
    gradients: &[&[f32]],
    wanted: Wanted,
) -> Gradients {
    let moments = op.moments().expect("the forward pass came first");
    let source = Source { op, groups: op.sizes.groups(), x, y, gradients, moments };
    let len = |wanted: bool| if wanted { x.len() } else { 0 };
    // SAFETY: the groups cover all values, and each channel's part of every image is written for
    // every requested gradient.
    let (input, (residual, sums)) = unsafe {
        written(len(wanted.input), |input| {
            written(len(wanted.residual), |residual| {
                source.all_channels(affine, input, residual, wanted)
            })
        })
    };
    let (mut affine, shifts): (Vec<f32>, Vec<f32>) =
        sums.into_iter().flatten().map(|[scale, shift]| (scale, shift)).unzip();
    affine.extend(shifts);
    Gradients { input, affine, residual }
}

struct Source<'a> {
    op: &'a BatchNorm,
    groups: Groups,
    x: &'a [f32],
    y: &'a [f32],
    /// Their sum is the gradient of y.
    gradients: &'a [&'a [f32]],
    moments: &'a Moments,
}

impl Source<'_> {
    /// Writes the requested gradients; returns those of scale and shift, group by group.
    fn all_channels(
        &self,
        affine: &[f32],
        input: &mut [Uninit],
        residual: &mut [Uninit],
        wanted: Wanted,
    ) -> Vec<Vec<[f32; 2]>> {
        let groups = self.groups;
        let split = |values| -> Vec<Vec<&mut [Uninit]>> {
            let mut parts = groups.split(values);
            parts.resize_with(groups.count(), Vec::new);
            parts
        };
        split(input)
            .into_par_iter()
            .zip(split(residual))
            .enumerate()
            .map(|(group, (mut into_input, mut into_residual))| {
                groups
                    .channels_of(group)
                    .enumerate()
                    .map(|(position, channel)| {
                        let part = position * groups.area..(position + 1) * groups.area;
                        self.one_channel(
                            channel,
                            affine[channel],
                            part,
                            &mut into_input,
                            &mut into_residual,
                            wanted,
                        )
                    })
                    .collect()
            })
            .collect()
    }

    /// Writes the channel's part of the requested gradients of each image; returns those of its
    /// scale and shift.
    fn one_channel<'b>(
        &self,
        channel: usize,
        scale: f32,
        part: Range<usize>,
        into_input: &mut [&'b mut [Uninit]],
        into_residual: &mut [&'b mut [Uninit]],
        wanted: Wanted,
    ) -> [f32; 2] {
        let (mean, deviation) =
            (self.moments.mean[channel], self.moments.inverse_deviation[channel]);
        let planes =
            || (0..self.groups.batch).map(|image| (image, self.groups.plane(image, channel)));
        // The residual's gradient is the one before the activation, so it serves as a stage and
        // need not be recomputed. Several gradients are summed in the buffer of the input's
        // gradient.
        let staged = match (wanted.residual, self.gradients.len()) {
            (true, _) => Staged::Residual,
            (false, 1) => Staged::Nowhere,
            (false, _) => Staged::Input,
        };
        let stage = match staged {
            Staged::Nowhere => &mut [],
            Staged::Input => &mut *into_input,
            Staged::Residual => &mut *into_residual,
        };
        for ((_, plane), stage) in planes().zip(stage) {
            let gradients = self.gradients.iter().map(|gradient| &gradient[plane.clone()]);
            sum_before_activation(
                &mut stage[part.clone()],
                &self.y[plane.clone()],
                gradients,
                self.op.activation,
            );
        }
        // The staged gradient, or what it is computed from.
        fn before<'b>(
            source: &'b Source,
            stage: Option<&'b [&mut [Uninit]]>,
            part: &Range<usize>,
            image: usize,
            plane: Range<usize>,
        ) -> (&'b [f32], &'b [f32], Activation) {
            match stage {
                Some(stage) => {
                    // SAFETY: the channel's part of every image was written above.
                    let staged = unsafe { assume_written(&stage[image][part.clone()]) };
                    (staged, staged, Activation::Identity)
                }
                None => {
                    (&source.y[plane.clone()], &source.gradients[0][plane], source.op.activation)
                }
            }
        }
        let training = self.op.given.is_none();
        let mut sums = Sums::new();
        if wanted.affine || (wanted.input && training) {
            let stage = match staged {
                Staged::Nowhere => None,
                Staged::Input => Some(&*into_input),
                Staged::Residual => Some(&*into_residual),
            };
            for (image, plane) in planes() {
                let (y, gradient, activation) = before(self, stage, &part, image, plane.clone());
                add_gradients(&mut sums, &self.x[plane], y, gradient, mean, activation);
            }
        }
        let [shift_sum, centered_sum] = sums.totals();
        let scale_sum = centered_sum * f64::from(deviation);
        let factor = scale * deviation;
        // With the batch's own statistics, the gradient has neither a mean nor a component along x.
        let count = (self.groups.batch * self.groups.area) as f64;
        let along = match training {
            true => Some((
                (shift_sum / count) as f32,
                (scale_sum / count * f64::from(deviation)) as f32,
            )),
            false => None,
        };
        let stage = (staged == Staged::Residual).then_some(&*into_residual);
        for ((image, plane), into_input) in planes().zip(into_input) {
            let target = &mut into_input[part.clone()];
            if staged == Staged::Input {
                // SAFETY: the channel's part of every image was written above.
                input_gradient_in_place(
                    unsafe { assume_written_mut(target) },
                    &self.x[plane],
                    mean,
                    factor,
                    along,
                );
                continue;
            }
            let (y, gradient, activation) = before(self, stage, &part, image, plane.clone());
            input_gradient(target, &self.x[plane], y, gradient, mean, factor, along, activation);
        }
        [scale_sum as f32, shift_sum as f32]
    }
}

/// Where gradients before the activation are staged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Staged {
    Nowhere,
    Input,
    Residual,
}

/// Writes the sum of the gradients before the activation; there is at least one.
pub(super) fn sum_before_activation<'a>(
    target: &mut [Uninit],
    y: &[f32],
    mut gradients: impl Iterator<Item = &'a [f32]>,
    activation: Activation,
) {
    let first = gradients.next().expect("a backward pass has a gradient");
    before_activation(target, y, first, activation);
    // SAFETY: every element was just written.
    let target = unsafe { assume_written_mut(target) };
    for gradient in gradients {
        add_before_activation(target, y, gradient, activation);
    }
}

vectorized! {
    /// Writes the gradient before the activation.
    fn before_activation(target: &mut [Uninit], y: &[f32], gradient: &[f32], activation: Activation) {
        with_slope!(activation, |before| {
            for ((to, y), g) in target.iter_mut().zip(y).zip(gradient) {
                to.write(before(*y, *g));
            }
        })
    }
}

vectorized! {
    /// Adds another gradient before the activation.
    fn add_before_activation(target: &mut [f32], y: &[f32], gradient: &[f32], activation: Activation) {
        with_slope!(activation, |before| {
            target.iter_mut().zip(y).zip(gradient).for_each(|((to, y), g)| *to += before(*y, *g));
        })
    }
}

vectorized! {
    /// Sums of the gradients before the activation, and of these times the centered values.
    fn add_gradients(sums: &mut Sums<2>, x: &[f32], y: &[f32], gradient: &[f32], mean: f32, activation: Activation) {
        with_slope!(activation, |before| sums.add(x, y, gradient, |x, y, g| {
            let g = before(y, g);
            [g, g * (x - mean)]
        }))
    }
}

vectorized! {
    /// `factor (g - offset - (x - mean) slope)` with g before the activation; without the last two
    /// terms for given statistics.
    fn input_gradient(
        target: &mut [Uninit], x: &[f32], y: &[f32], gradient: &[f32],
        mean: f32, factor: f32, along: Option<(f32, f32)>, activation: Activation,
    ) {
        match along {
            Some((offset, slope)) => with_slope!(activation, |before| {
                for (((to, x), y), g) in target.iter_mut().zip(x).zip(y).zip(gradient) {
                    to.write(factor * (before(*y, *g) - offset - (x - mean) * slope));
                }
            }),
            None => with_slope!(activation, |before| {
                for ((to, y), g) in target.iter_mut().zip(y).zip(gradient) {
                    to.write(factor * before(*y, *g));
                }
            }),
        }
    }
}

vectorized! {
    /// The same for gradients before the activation that are already in the target.
    fn input_gradient_in_place(target: &mut [f32], x: &[f32], mean: f32, factor: f32, along: Option<(f32, f32)>) {
        match along {
            Some((offset, slope)) => {
                target.iter_mut().zip(x).for_each(|(to, x)| *to = factor * (*to - offset - (x - mean) * slope));
            }
            None => target.iter_mut().for_each(|to| *to *= factor),
        }
    }
}
