//! Normalization and its gradient as the last step of a convolution.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::forward::{Line, normalize_in_place};
use super::{Activation, Moments, backward};
use crate::arguments::{with_all_elements, with_elements};
use crate::batch_norm::{FixedBatchNorm, check_operands};
use crate::conv2d::Finish;
use crate::simd::vectorized;
use crate::uninit::written;

/// The affine maps of all channels.
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// Those of the normalization of a value of this shape; `residual` is only checked.
    pub(crate) fn new(
        dims: &[usize; 4],
        norm: &FixedBatchNorm,
        residual: Option<&Tensor>,
    ) -> Result<Self> {
        check_operands(dims, norm, residual)?;
        let values = |tensor: &Tensor| with_elements(tensor, |values| Ok(values.to_vec()));
        let FixedBatchNorm { scale, shift, statistics } = norm;
        let (scale, shift) = (values(scale)?, values(shift)?);
        let moments =
            Moments::new(values(statistics.mean)?, values(statistics.variance)?, statistics.eps);
        let line = |channel: usize| Line {
            mean: moments.mean[channel],
            factor: scale[channel] * moments.inverse_deviation[channel],
            shift: shift[channel],
        };
        Ok(Self((0..dims[1]).map(line).collect()))
    }

    /// By how much the normalization multiplies a change of each channel.
    pub(crate) fn slopes(&self) -> impl Iterator<Item = f32> {
        self.0.iter().map(|line| line.factor)
    }
}

/// Normalizes results, adds the residual, and applies the activation.
pub(crate) struct Normalization<'a> {
    pub lines: &'a Lines,
    pub residual: Option<&'a [f32]>,
    pub activation: Activation,
}

impl Finish for Normalization<'_> {
    fn finish(&self, channel: usize, place: Range<usize>, values: &mut [f32]) {
        let residual = self.residual.map(|residual| &residual[place]);
        normalize_in_place(values, residual, self.lines.0[channel], self.activation);
    }
}

/// Completes a gradient of the result of a ReLU: adds another one, and passes it on only where that
/// result is positive.
pub(crate) struct Merged<'a> {
    pub other: Option<&'a [f32]>,
    pub rectified: &'a [f32],
}

impl Finish for Merged<'_> {
    fn finish(&self, _: usize, place: Range<usize>, values: &mut [f32]) {
        let y = &self.rectified[place.clone()];
        match self.other {
            Some(other) => add_and_rectify(values, &other[place], y),
            None => rectify(values, y),
        }
    }
}

vectorized! {
    fn add_and_rectify(values: &mut [f32], other: &[f32], y: &[f32]) {
        for ((value, other), y) in values.iter_mut().zip(other).zip(y) {
            *value = if *y > 0.0 { *value + other } else { 0.0 };
        }
    }
}

vectorized! {
    fn rectify(values: &mut [f32], y: &[f32]) {
        values.iter_mut().zip(y).for_each(|(value, y)| *value = if *y > 0.0 { *value } else { 0.0 });
    }
}

/// Floats per task.
const PART: usize = 1 << 14;

/// The gradient before the activation that led to `y`, of one or more gradients of `y`.
pub(crate) fn before_activation(
    y: &Tensor,
    gradients: &[Tensor],
    activation: Activation,
) -> Result<Tensor> {
    let before = with_elements(y, |y| {
        with_all_elements(gradients, |gradients| {
            // SAFETY: the parts cover all values, and each of them is written.
            let (before, ()) = unsafe {
                written(y.len(), |before| {
                    before.par_chunks_mut(PART).enumerate().for_each(|(part, before)| {
                        let place = part * PART..part * PART + before.len();
                        let gradients = gradients.iter().map(|gradient| &gradient[place.clone()]);
                        backward::sum_before_activation(
                            before,
                            &y[place.clone()],
                            gradients,
                            activation,
                        );
                    });
                })
            };
            Ok(before)
        })
    })?;
    Tensor::from_vec(before, y.shape(), &Device::Cpu)
}
