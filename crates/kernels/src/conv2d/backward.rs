//! The gradients. Images are independent for the input's; for the kernels', images are summed in chunks whose size does
//! not depend on the number of threads, and the chunks in their order.

use super::columns::{gather, scatter, tiles, with_buffer};
use super::{Conv2dGeometry, Sizes, forward};
use crate::arguments::contiguous;
use crate::matrix::{View, product};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape};
use rayon::prelude::*;

/// Gradient with respect to the input, from the output's gradient and the kernels.
pub(super) struct InputGradient {
    pub sizes: Sizes,
}

impl CustomOp2 for InputGradient {
    fn name(&self) -> &'static str {
        "conv2d input gradient"
    }

    fn cpu_fwd(
        &self,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let s = &self.sizes;
        let (gradient, weight) = (contiguous(gradient, gradient_layout)?, contiguous(weight, weight_layout)?);
        let output = match as_forward(s) {
            Some(mirrored) => forward::convolve(&mirrored, gradient, &mirror(s, weight)),
            None => input_gradient(s, gradient, weight),
        };
        Ok((CpuStorage::F32(output), Shape::from((s.batch, s.in_channels, s.height, s.width))))
    }
}

/// With stride 1 and padding no wider than the kernel, the input's gradient is itself a convolution, of the output's
/// gradient with the mirrored kernels, which needs no scattered sums.
fn as_forward(s: &Sizes) -> Option<Sizes> {
    let Conv2dGeometry { stride, padding, dilation, groups } = s.geometry;
    let span = dilation * (s.kernel_height - 1);
    let fits = stride == 1 && groups == 1 && s.kernel_height == s.kernel_width && span >= padding;
    fits.then(|| Sizes {
        in_channels: s.out_channels,
        out_channels: s.in_channels,
        height: s.out_height,
        width: s.out_width,
        out_height: s.height,
        out_width: s.width,
        geometry: Conv2dGeometry { padding: span - padding, ..s.geometry },
        ..*s
    })
}

/// `[out, in, taps]` to `[in, out, taps in reverse]`.
fn mirror(s: &Sizes, weight: &[f32]) -> Vec<f32> {
    let taps = s.kernel_height * s.kernel_width;
    let mut mirrored = vec![0.0; weight.len()];
    for out in 0..s.out_channels {
        for input in 0..s.in_channels {
            let source = &weight[(out * s.in_channels + input) * taps..][..taps];
            let target = &mut mirrored[(input * s.out_channels + out) * taps..][..taps];
            target.iter_mut().zip(source.iter().rev()).for_each(|(to, from)| *to = *from);
        }
    }
    mirrored
}

fn input_gradient(s: &Sizes, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
    let (depth, group_out) = (s.depth(), s.group_out());
    let mut output = vec![0.0; s.batch * s.in_channels * s.in_area()];
    let images =
        output.par_chunks_exact_mut(s.in_channels * s.in_area()).zip(gradient.par_chunks_exact(s.out_channels * s.out_area()));
    images.for_each(|(image, gradient)| {
        for group in 0..s.geometry.groups {
            let kernels = View::transposed(&weight[group * group_out * depth..][..group_out * depth], depth);
            let gradient = &gradient[group * group_out * s.out_area()..][..group_out * s.out_area()];
            let image = &mut image[group * s.group_in() * s.in_area()..][..s.group_in() * s.in_area()];
            for rows in tiles(s) {
                let length = rows.len() * s.out_width;
                with_buffer(depth * length, |columns| {
                    let right = View { data: &gradient[rows.start * s.out_width..], row_stride: s.out_area(), column_stride: 1 };
                    product(depth, length, group_out, columns, length, false, kernels, right);
                    scatter(s, columns, &rows, image);
                });
            }
        }
    });
    output
}

/// Gradient with respect to the kernels, from the output's gradient and the input.
pub(super) struct WeightGradient {
    pub sizes: Sizes,
}

/// Images are summed in this many chunks at most; more would cost memory, fewer would idle processors.
const CHUNKS: usize = 16;

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv2d weight gradient"
    }

    fn cpu_fwd(
        &self,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let s = &self.sizes;
        let (gradient, x) = (contiguous(gradient, gradient_layout)?, contiguous(x, x_layout)?);
        let images = s.batch.div_ceil(CHUNKS);
        let partial: Vec<Vec<f32>> = x
            .par_chunks(images * s.in_channels * s.in_area())
            .zip(gradient.par_chunks(images * s.out_channels * s.out_area()))
            .map(|(x, gradient)| weight_gradient(s, x, gradient))
            .collect();
        let mut chunks = partial.into_iter();
        let mut total = chunks.next().unwrap_or_default();
        for chunk in chunks {
            total.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
        }
        Ok((CpuStorage::F32(total), Shape::from((s.out_channels, s.group_in(), s.kernel_height, s.kernel_width))))
    }
}

fn weight_gradient(s: &Sizes, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (depth, group_out) = (s.depth(), s.group_out());
    let mut total = vec![0.0; s.out_channels * depth];
    let images = x.chunks_exact(s.in_channels * s.in_area()).zip(gradient.chunks_exact(s.out_channels * s.out_area()));
    for (image, gradient) in images {
        for group in 0..s.geometry.groups {
            let input = &image[group * s.group_in() * s.in_area()..][..s.group_in() * s.in_area()];
            let gradient = &gradient[group * group_out * s.out_area()..][..group_out * s.out_area()];
            let total = &mut total[group * group_out * depth..][..group_out * depth];
            for rows in tiles(s) {
                let length = rows.len() * s.out_width;
                with_buffer(depth * length, |columns| {
                    gather(s, input, &rows, columns);
                    let left = View { data: &gradient[rows.start * s.out_width..], row_stride: s.out_area(), column_stride: 1 };
                    product(group_out, depth, length, total, depth, true, left, View::transposed(columns, length));
                });
            }
        }
    }
    total
}
