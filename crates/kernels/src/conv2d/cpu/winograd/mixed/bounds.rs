//! Bounds of the transform in f64: sums of magnitudes for its errors, and of squares for their
//! variances.

use super::super::points;
use super::{PATCH, Plan, TILE};
use crate::conv2d::problem::Problem;
use crate::simd::{Portable, Vector};

/// Magnitudes of a transform along one axis, or their squares, `[out][in]`.
fn magnitudes<const IN: usize, const OUT: usize>(
    of: unsafe fn([Portable; IN]) -> [Portable; OUT],
    power: i32,
) -> [[f64; IN]; OUT] {
    let mut matrix = [[0.0; IN]; OUT];
    for i in 0..IN {
        let unit = |j| f32::from(u8::from(i == j));
        // SAFETY: every processor has these instructions; vectors have eight lanes.
        unsafe {
            for (row, found) in
                matrix.iter_mut().zip(of(std::array::from_fn(|j| Portable::splat(unit(j)))))
            {
                let mut lanes = [0.0; 8];
                found.store(lanes.as_mut_ptr());
                row[i] = f64::from(lanes[0].abs()).powi(power);
            }
        }
    }
    matrix
}

/// The transform along both axes of the magnitudes given by `at`.
fn both<const IN: usize, const OUT: usize>(
    matrix: &[[f64; IN]; OUT],
    at: impl Fn(usize, usize) -> f64,
) -> [[f64; OUT]; OUT] {
    let values: [[f64; IN]; IN] = std::array::from_fn(|i| std::array::from_fn(|j| at(i, j)));
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            (0..IN)
                .map(|a| (0..IN).map(|b| matrix[i][a] * values[a][b] * matrix[j][b]).sum::<f64>())
                .sum()
        })
    })
}

/// For every output, input gradient and weight gradient: the sum of magnitudes in its transform;
/// `None` without a transform.
pub(in super::super::super) fn bounds(
    p: &Problem,
    x: &[f32],
    w: &[f32],
    dy: &[f32],
) -> Option<[Vec<f64>; 3]> {
    sums(p, x, w, dy, 1)
}

/// Likewise the error variance of each, for independent operands of variance 1, if every product of
/// two evaluations has an independent error whose variance is the product's.
pub(in super::super::super) fn variances(p: &Problem) -> Option<[Vec<f64>; 3]> {
    let ones = |dims: [usize; 4]| vec![1.0; dims.iter().product()];
    sums(p, &ones(p.input_dims()), &ones(p.weight_dims()), &ones(p.output_dims()), 2)
}

fn sums(p: &Problem, x: &[f32], w: &[f32], dy: &[f32], power: i32) -> Option<[Vec<f64>; 3]> {
    let forward = Plan::forward(p).filter(Plan::pays)?;
    let backward = Plan::input_gradient(p).filter(Plan::pays)?;
    let taps = |o: usize, i: usize| &w[(o * p.in_channels + i) * 9..][..9];
    let y = correlated(&forward, x, power, |o, i, ky, kx| f64::from(taps(o, i)[3 * ky + kx].abs()));
    let dx = correlated(&backward, dy, power, |o, i, ky, kx| {
        f64::from(taps(i, o)[3 * (2 - ky) + 2 - kx].abs())
    });
    Some([y, dx, weights(&forward, x, dy, power)])
}

fn pixel(x: &[f32], plane: usize, height: usize, width: usize, y: isize, at: isize) -> f64 {
    let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&at);
    if inside {
        f64::from(x[plane * height * width + y as usize * width + at as usize].abs())
    } else {
        0.0
    }
}

fn patch(
    plan: &Plan,
    x: &[f32],
    image: usize,
    channel: usize,
    down: usize,
    across: usize,
    power: i32,
) -> [[f64; PATCH]; PATCH] {
    let (plane, padding) = (image * plan.in_channels + channel, plan.padding as isize);
    let (top, left) = ((down * TILE) as isize - padding, (across * TILE) as isize - padding);
    let at = |i: usize, j: usize| {
        pixel(x, plane, plan.height, plan.width, top + i as isize, left + j as isize)
    };
    both(&magnitudes(points::patch::<Portable>, power), at)
}

fn correlated(
    plan: &Plan,
    x: &[f32],
    power: i32,
    tap: impl Fn(usize, usize, usize, usize) -> f64,
) -> Vec<f64> {
    let tile = magnitudes(points::tile::<Portable>, power);
    let kernel = magnitudes(points::kernel::<Portable>, power);
    let kernels: Vec<Vec<[[f64; PATCH]; PATCH]>> = (0..plan.out_channels)
        .map(|o| (0..plan.in_channels).map(|i| both(&kernel, |ky, kx| tap(o, i, ky, kx))).collect())
        .collect();
    let mut sums = vec![0.0; plan.batch * plan.out_channels * plan.out_plane()];
    for image in 0..plan.batch {
        for down in 0..plan.tiles_down() {
            for across in 0..plan.tiles_across() {
                let patches: Vec<_> = (0..plan.in_channels)
                    .map(|channel| patch(plan, x, image, channel, down, across, power))
                    .collect();
                for (o, kernels) in kernels.iter().enumerate() {
                    let product = |i: usize, j: usize| {
                        kernels.iter().zip(&patches).map(|(k, p)| k[i][j] * p[i][j]).sum::<f64>()
                    };
                    let outputs = both(&tile, product);
                    for i in 0..TILE.min(plan.out_height - down * TILE) {
                        for j in 0..TILE.min(plan.out_width - across * TILE) {
                            let plane = (image * plan.out_channels + o) * plan.out_plane();
                            sums[plane + (down * TILE + i) * plan.out_width + across * TILE + j] =
                                outputs[i][j];
                        }
                    }
                }
            }
        }
    }
    sums
}

fn weights(plan: &Plan, x: &[f32], dy: &[f32], power: i32) -> Vec<f64> {
    let gradient = magnitudes(points::tile_gradient::<Portable>, power);
    let kernel = magnitudes(points::kernel_gradient::<Portable>, power);
    let mut products = vec![[[0.0; PATCH]; PATCH]; plan.out_channels * plan.in_channels];
    for image in 0..plan.batch {
        for down in 0..plan.tiles_down() {
            for across in 0..plan.tiles_across() {
                let patches: Vec<_> = (0..plan.in_channels)
                    .map(|channel| patch(plan, x, image, channel, down, across, power))
                    .collect();
                for o in 0..plan.out_channels {
                    let plane = image * plan.out_channels + o;
                    let (top, left) = ((down * TILE) as isize, (across * TILE) as isize);
                    let at = |i: usize, j: usize| {
                        pixel(
                            dy,
                            plane,
                            plan.out_height,
                            plan.out_width,
                            top + i as isize,
                            left + j as isize,
                        )
                    };
                    let tile = both(&gradient, at);
                    for (products, patch) in
                        products[o * plan.in_channels..].iter_mut().zip(&patches)
                    {
                        for i in 0..PATCH {
                            for j in 0..PATCH {
                                products[i][j] += patch[i][j] * tile[i][j];
                            }
                        }
                    }
                }
            }
        }
    }
    products
        .iter()
        .flat_map(|product| both(&kernel, |i, j| product[i][j]).as_flattened().to_vec())
        .collect()
}
