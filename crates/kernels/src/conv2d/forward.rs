//! The forward pass: images and tiles of output rows side by side.

use super::Sizes;
use super::columns::{gather, tiles, with_buffer};
use crate::matrix::{View, product};
use rayon::prelude::*;

/// The output `[batch, out channels, out height, out width]`.
pub(super) fn convolve(s: &Sizes, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let mut output = vec![0.0; s.batch * s.out_channels * s.out_area()];
    let images = output.par_chunks_exact_mut(s.out_channels * s.out_area()).zip(x.par_chunks_exact(s.in_channels * s.in_area()));
    images.for_each(|(target, image)| one_image(s, image, weight, target));
    output
}

fn one_image(s: &Sizes, image: &[f32], weight: &[f32], target: &mut [f32]) {
    let (depth, group_out) = (s.depth(), s.group_out());
    let pointwise = s.kernel_height == 1 && s.kernel_width == 1 && s.geometry.stride == 1 && s.geometry.padding == 0;
    for group in 0..s.geometry.groups {
        let input = &image[group * s.group_in() * s.in_area()..][..s.group_in() * s.in_area()];
        let kernels = View::rows(&weight[group * group_out * depth..][..group_out * depth], depth);
        let output = &mut target[group * group_out * s.out_area()..][..group_out * s.out_area()];
        if pointwise {
            product(group_out, s.out_area(), depth, output, s.out_area(), false, kernels, View::rows(input, s.in_area()));
            continue;
        }
        for rows in tiles(s) {
            let length = rows.len() * s.out_width;
            with_buffer(depth * length, |columns| {
                gather(s, input, &rows, columns);
                let start = rows.start * s.out_width;
                product(
                    group_out,
                    length,
                    depth,
                    &mut output[start..],
                    s.out_area(),
                    false,
                    kernels,
                    View::rows(columns, length),
                );
            });
        }
    }
}
