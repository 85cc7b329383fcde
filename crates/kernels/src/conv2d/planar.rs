//! Convolution one plane at a time: rows are scaled and added. Works for every geometry.

use rayon::prelude::*;

use super::problem::Problem;

/// Output positions `from..to` whose input `at(position)` lies inside the image, along one axis.
fn inside(problem: &Problem, tap: usize, size: usize, out_size: usize) -> (usize, usize) {
    let shift = tap * problem.dilation;
    let from = problem.padding.saturating_sub(shift).div_ceil(problem.stride);
    let to = (size + problem.padding).saturating_sub(shift).div_ceil(problem.stride).min(out_size);
    (from.min(to), to)
}

/// Calls `row(out row start, in row start, outputs)` for every piece of an output row that tap `(ky, kx)` reads inside the image;
/// neighbouring outputs are `stride` apart in the input.
fn for_each_row(p: &Problem, ky: usize, kx: usize, mut row: impl FnMut(usize, usize, usize)) {
    let (y0, y1) = inside(p, ky, p.height, p.out_height);
    let (x0, x1) = inside(p, kx, p.width, p.out_width);
    if x0 == x1 {
        return;
    }
    for y in y0..y1 {
        let in_y = y * p.stride + ky * p.dilation - p.padding;
        let in_x = x0 * p.stride + kx * p.dilation - p.padding;
        row(y * p.out_width + x0, in_y * p.width + in_x, x1 - x0);
    }
}

pub(super) fn forward(p: &Problem, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; p.batch * p.out_channels * p.out_plane()];
    y.par_chunks_mut(p.out_plane()).enumerate().for_each(|(plane, y)| {
        let (image, co) = (plane / p.out_channels, plane % p.out_channels);
        let first = image * p.in_channels + co / p.group_out() * p.group_in();
        for ci in 0..p.group_in() {
            let x = &x[(first + ci) * p.in_plane()..][..p.in_plane()];
            for tap in 0..p.taps() {
                let w = weight[(co * p.group_in() + ci) * p.taps() + tap];
                for_each_row(p, tap / p.kernel_width, tap % p.kernel_width, |o, i, n| {
                    let (y, x) = (&mut y[o..o + n], &x[i..]);
                    if p.stride == 1 {
                        y.iter_mut().zip(x).for_each(|(y, x)| *y += w * x);
                    } else {
                        y.iter_mut().zip(x.iter().step_by(p.stride)).for_each(|(y, x)| *y += w * x);
                    }
                });
            }
        }
    });
    y
}

pub(super) fn input_gradient(p: &Problem, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; p.batch * p.in_channels * p.in_plane()];
    dx.par_chunks_mut(p.in_plane()).enumerate().for_each(|(plane, dx)| {
        let (image, ci) = (plane / p.in_channels, plane % p.in_channels);
        let (group, ci) = (ci / p.group_in(), ci % p.group_in());
        for co in group * p.group_out()..(group + 1) * p.group_out() {
            let dy = &dy[(image * p.out_channels + co) * p.out_plane()..][..p.out_plane()];
            for tap in 0..p.taps() {
                let w = weight[(co * p.group_in() + ci) * p.taps() + tap];
                for_each_row(p, tap / p.kernel_width, tap % p.kernel_width, |o, i, n| {
                    let (dy, dx) = (&dy[o..o + n], &mut dx[i..]);
                    if p.stride == 1 {
                        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += w * dy);
                    } else {
                        dx.iter_mut().step_by(p.stride).zip(dy).for_each(|(dx, dy)| *dx += w * dy);
                    }
                });
            }
        }
    });
    dx
}

/// Sum of products in eight lanes, so that the compiler can use vector registers without changing the order of the sum.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for l in 0..8 {
            lanes[l] += a[l] * b[l];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

pub(super) fn weight_gradient(p: &Problem, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dw = vec![0.0; p.out_channels * p.group_in() * p.taps()];
    dw.par_chunks_mut(p.taps()).enumerate().for_each(|(pair, dw)| {
        let (co, ci) = (pair / p.group_in(), pair % p.group_in());
        let ci = co / p.group_out() * p.group_in() + ci;
        for image in 0..p.batch {
            let x = &x[(image * p.in_channels + ci) * p.in_plane()..][..p.in_plane()];
            let dy = &dy[(image * p.out_channels + co) * p.out_plane()..][..p.out_plane()];
            for (tap, dw) in dw.iter_mut().enumerate() {
                let mut sum = 0.0;
                for_each_row(p, tap / p.kernel_width, tap % p.kernel_width, |o, i, n| {
                    sum += if p.stride == 1 {
                        dot(&dy[o..o + n], &x[i..i + n])
                    } else {
                        dy[o..o + n].iter().zip(x[i..].iter().step_by(p.stride)).map(|(dy, x)| dy * x).sum()
                    };
                });
                *dw += sum;
            }
        }
    });
    dw
}
