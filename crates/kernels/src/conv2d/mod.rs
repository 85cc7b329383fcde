//! Two-dimensional convolution (cross-correlation, as in every deep-learning library) with exact gradients.
//!
//! Each image is laid out in cache-sized tiles of output rows (`im2col`) and multiplied by the kernels with the `gemm`
//! crate; threads share images, never a sum, so that results do not depend on their number.

mod backward;
mod columns;
mod forward;
#[cfg(test)]
mod reference;

use crate::Error;
use crate::arguments::{contiguous, same_kind};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// Stride, padding, dilation and groups of a convolution, the same along both axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dGeometry {
    /// Step between outputs, in input pixels; at least 1.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
    /// Step between the taps of a kernel, in input pixels; at least 1.
    pub dilation: usize,
    /// Groups of channels that do not see each other; as many as channels make it depthwise.
    pub groups: usize,
}

impl Default for Conv2dGeometry {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// Every size of one convolution.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    in_channels: usize,
    height: usize,
    width: usize,
    out_channels: usize,
    kernel_height: usize,
    kernel_width: usize,
    out_height: usize,
    out_width: usize,
    geometry: Conv2dGeometry,
}

impl Sizes {
    fn group_in(&self) -> usize {
        self.in_channels / self.geometry.groups
    }

    fn group_out(&self) -> usize {
        self.out_channels / self.geometry.groups
    }

    /// Rows of the column matrix: taps times input channels of a group.
    fn depth(&self) -> usize {
        self.group_in() * self.kernel_height * self.kernel_width
    }

    fn in_area(&self) -> usize {
        self.height * self.width
    }

    fn out_area(&self) -> usize {
        self.out_height * self.out_width
    }

    fn check(x: &[usize], weight: &[usize], geometry: Conv2dGeometry) -> std::result::Result<Self, Error> {
        let shape = |argument, expected: &str, found: &[usize], remedy| {
            Err(Error::Shape { op: OP, argument, expected: expected.to_owned(), found: found.to_vec(), remedy })
        };
        let &[batch, in_channels, height, width] = x else {
            return shape("x", "[batch, channels, height, width]", x, "add the missing dimension with `unsqueeze`");
        };
        let &[out_channels, group_in, kernel_height, kernel_width] = weight else {
            let layout = "[out channels, in channels / groups, kernel height, kernel width]";
            return shape("weight", layout, weight, "reshape the kernels");
        };
        let Conv2dGeometry { stride, padding, dilation, groups } = geometry;
        for (parameter, value) in [("stride", stride), ("dilation", dilation), ("groups", groups)] {
            if value == 0 {
                return Err(Error::Parameter { op: OP, parameter, expected: "at least 1".into(), found: "0".into() });
            }
        }
        for (argument, dimensions) in [("x", x), ("weight", weight)] {
            if dimensions.contains(&0) {
                return shape(argument, "at least 1 in every dimension", dimensions, "leave out empty batches");
            }
        }
        if group_in.checked_mul(groups) != Some(in_channels) || !out_channels.is_multiple_of(groups) {
            let expected =
                format!("{group_in} channels (from weight) times {groups} groups, which also divide {out_channels} out channels");
            return shape("x", &expected, x, "match the channels of x and weight");
        }
        let out = |size: usize, kernel: usize| -> Option<usize> {
            let span = dilation.checked_mul(kernel - 1)?.checked_add(1)?;
            let padded = size.checked_add(padding.checked_mul(2)?)?;
            Some(padded.checked_sub(span)? / stride + 1)
        };
        let (Some(out_height), Some(out_width)) = (out(height, kernel_height), out(width, kernel_width)) else {
            let expected = format!("kernels within {height} x {width} with padding {padding}, dilation {dilation}");
            return shape("weight", &expected, weight, "pad more, or take smaller kernels");
        };
        let elements = [batch, out_channels.max(in_channels), out_height.max(height), out_width.max(width)]
            .into_iter()
            .try_fold(size_of::<f32>(), |product, size| product.checked_mul(size));
        if elements.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(Error::Overflow { op: OP, what: "the output" });
        }
        Ok(Self { batch, in_channels, height, width, out_channels, kernel_height, kernel_width, out_height, out_width, geometry })
    }
}

const OP: &str = "conv2d";

/// Convolves `x` `[batch, in, height, width]` with `weight` `[out, in / groups, kernel height, kernel width]`, f32, to
/// `[batch, out, out height, out width]`. Differentiable in both; a gradient is computed only where one is asked for.
///
/// # Errors
/// Ranks, channels, kinds or sizes that do not fit (see [`Error`]).
pub fn conv2d(x: &Tensor, weight: &Tensor, geometry: Conv2dGeometry) -> Result<Tensor> {
    same_kind(OP, &[("x", x), ("weight", weight)])?;
    let sizes = Sizes::check(x.dims(), weight.dims(), geometry)?;
    x.contiguous()?.apply_op2(&weight.contiguous()?, Convolution { sizes })
}

struct Convolution {
    sizes: Sizes,
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let s = &self.sizes;
        let output = forward::convolve(s, contiguous(x, x_layout)?, contiguous(weight, weight_layout)?);
        Ok((CpuStorage::F32(output), Shape::from((s.batch, s.out_channels, s.out_height, s.out_width))))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let input = match x.track_op() {
            true => Some(gradient.apply_op2_no_bwd(weight, &backward::InputGradient { sizes: self.sizes })?),
            false => None,
        };
        let kernels = match weight.track_op() {
            true => Some(gradient.apply_op2_no_bwd(x, &backward::WeightGradient { sizes: self.sizes })?),
            false => None,
        };
        Ok((input, kernels))
    }
}

#[cfg(test)]
mod tests;
