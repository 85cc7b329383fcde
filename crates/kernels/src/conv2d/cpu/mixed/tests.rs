use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::super::winograd::mixed::{bounds, variances};
use super::*;
use crate::conv2d::reference;
use crate::mixed::{pack, unpack};
use crate::simd::tiles::Model;
use crate::testing::elements;

/// Half the relative spacing of bfloat16 numbers.
const U: f64 = 1.0 / 256.0;
/// The same for f32.
const U32: f64 = 1.0 / 16_777_216.0;

/// Normal numbers, rounded to bfloat16.
fn normal(seed: u64, dims: &[usize; 4]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> =
        (0..dims.iter().product()).map(|_| StandardNormal.sample(&mut rng)).collect();
    let values = Tensor::from_vec(values, dims, &Device::Cpu).unwrap();
    values.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<u16> {
    with_numbers(&pack(tensor).unwrap().1, |numbers| Ok(numbers.to_vec())).unwrap()
}

fn values(dims: [usize; 4], numbers: Vec<u16>) -> Vec<f32> {
    let sizes = Sizes::new(dims);
    elements(&unpack(&sizes, &sizes.tensor(numbers).unwrap()).unwrap())
}

/// Checks that every result lies within its bound, and that the root mean square error is within
/// `share` of the results.
#[track_caller]
fn check(what: &str, found: &[f32], expected: &[f64], bound: impl Fn(usize) -> f64, share: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let (mut errors, mut squares) = (0.0, 0.0);
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= bound(i),
            "{what}[{i}]: {found} instead of {expected}, off by {error}, allowed {}",
            bound(i)
        );
        errors += error * error;
        squares += expected * expected;
    }
    assert!(
        errors.sqrt() <= share * squares.sqrt(),
        "{what}: off by {} of the results",
        (errors / squares).sqrt()
    );
}

/// Checks both gradients and the forward pass, at every level.
#[track_caller]
fn check_shape(x_dims: [usize; 4], out_channels: usize, kernel: usize, geometry: Conv2dGeometry) {
    let w_dims = [out_channels, x_dims[1], kernel, kernel];
    let p = Problem::new(&x_dims, &w_dims, geometry).unwrap();
    let (x, w, dy) = (normal(1, &x_dims), normal(2, &w_dims), normal(3, &p.output_dims()));
    // Weights are f32.
    let w: Vec<f32> = elements(&w).iter().map(|w| w * 1.001).collect();
    let what = format!("{x_dims:?} {w_dims:?} {geometry:?}");
    let [y, dx, dw] = [
        reference::forward(&p, &elements(&x), &w),
        reference::input_gradient(&p, &elements(&dy), &w),
        reference::weight_gradient(&p, &elements(&x), &elements(&dy)),
    ];
    let depths =
        [x_dims[1] * p.taps(), out_channels * p.taps(), p.batch * p.out_plane()].map(|n| n as f64);
    // The sums of magnitudes of a transform follow from its own matrices, and its f32 error is
    // larger, too.
    let transformed = bounds(&p, &elements(&x), &w, &elements(&dy));
    let bound = |transformed: &Option<[Vec<f64>; 3]>,
                 result: usize,
                 [expected, magnitude]: &[Vec<f64>; 2],
                 i: usize| {
        let rounded = if result < 2 { U * expected[i].abs() } else { 0.0 };
        let within = match transformed {
            Some(transformed) => {
                (2.0 * U + U * U + (depths[result] + 40.0) * U32) * transformed[result][i]
            }
            None if result < 2 => (U + depths[result] * U32) * magnitude[i],
            None => depths[result] * U32 * magnitude[i],
        };
        (within + rounded) * (1.0 + U) + 1e-30
    };
    let of_results = [&y, &dx, &dw];
    // Expected ratio of errors to results, root mean square: from independent rounding of
    // evaluations of independent operands, and from rounding the result.
    let (limits, ones) = (variances(&p), |dims: [usize; 4]| vec![1.0; dims.iter().product()]);
    let share = |result: usize| {
        let Some(errors) = &limits else { return 0.003 };
        let [ones_x, ones_w, ones_dy] =
            [ones(p.input_dims()), ones(p.weight_dims()), ones(p.output_dims())];
        let results = match result {
            0 => reference::forward(&p, &ones_x, &ones_w),
            1 => reference::input_gradient(&p, &ones_dy, &ones_w),
            _ => reference::weight_gradient(&p, &ones_x, &ones_dy),
        };
        let [errors, results] =
            [&errors[result], &results[0]].map(|variances| variances.iter().sum::<f64>());
        let rounded = if result < 2 { 1.0 } else { 0.0 };
        U * ((2.0 * errors / results + rounded) / 3.0).sqrt()
    };
    let shares = [0, 1, 2].map(share);
    let check_all = |what: &str, found: &[Vec<f32>; 3], transformed: &Option<[Vec<f64>; 3]>| {
        let shares = if transformed.is_some() { shares } else { [0.003; 3] };
        for (result, name) in ["y", "dx", "dw"].into_iter().enumerate() {
            let expected = of_results[result];
            let within = |i: usize| bound(transformed, result, expected, i);
            check(
                &format!("{name} of {what}"),
                &found[result],
                &expected[0],
                within,
                shares[result],
            );
        }
    };
    let (xs, dys) = (numbers(&x), numbers(&dy));
    // SAFETY: the model has no instructions of its own; its vectors use the active level.
    let by_tiles = unsafe {
        [
            values(
                p.output_dims(),
                tiles::correlate::<Model>(&Correlation::forward(&p), &xs, &w, forward_order(&p)),
            ),
            values(
                p.input_dims(),
                tiles::correlate::<Model>(
                    &Correlation::input_gradient(&p),
                    &dys,
                    &w,
                    input_gradient_order(&p),
                ),
            ),
            tiles::weight_gradient::<Model>(Isa::active(), &p, &xs, &dys),
        ]
    };
    check_all(&format!("{what} by tiles"), &by_tiles, &None);
    let mut of_levels: Vec<(Isa, [Vec<f32>; 3])> = Vec::new();
    for isa in Isa::available() {
        let found = [
            values(p.output_dims(), forward(isa, &p, &xs, &w)),
            values(p.input_dims(), input_gradient(isa, &p, &dys, &w)),
            weight_gradient(isa, &p, &xs, &dys),
        ];
        let tiles = isa.name() == "amx";
        check_all(&format!("{what} {isa:?}"), &found, if tiles { &None } else { &transformed });
        assert!(!tiles || found == by_tiles, "{what}: tiles differ from their model");
        of_levels.push((isa, found));
    }
    // The instruction and its definition give the same bits if the surrounding transforms do, too.
    let of_avx: Vec<_> =
        of_levels.iter().filter(|(isa, _)| isa.name().starts_with("avx")).collect();
    for (isa, found) in &of_avx {
        assert!(*found == of_avx[0].1, "{what}: {isa:?} and {:?} differ", of_avx[0].0);
    }
}

fn geometry(stride: usize, padding: usize, dilation: usize) -> Conv2dGeometry {
    Conv2dGeometry { stride, padding, dilation, groups: 1 }
}

#[test]
fn layers_in_use_agree_with_the_definition_within_the_bound() {
    for (x, co, k, g) in [
        ([3, 1, 32, 32], 16, 7, geometry(1, 3, 1)),
        ([2, 1, 36, 64], 8, 13, geometry(1, 0, 1)),
        ([2, 3, 18, 32], 32, 9, geometry(1, 4, 1)),
        ([2, 16, 16, 16], 16, 3, geometry(1, 1, 1)),
        ([2, 33, 8, 8], 40, 3, geometry(1, 1, 1)),
        ([5, 64, 5, 8], 48, 3, geometry(1, 1, 1)),
        ([3, 16, 17, 16], 32, 3, geometry(2, 1, 1)),
        ([3, 16, 16, 16], 32, 1, geometry(2, 0, 1)),
        ([2, 40, 9, 7], 24, 1, geometry(1, 0, 1)),
        ([2, 5, 9, 11], 6, 3, geometry(3, 2, 1)),
        ([2, 7, 12, 9], 18, 3, geometry(1, 2, 2)),
        ([1, 2, 5, 5], 3, 2, geometry(1, 0, 1)),
    ] {
        check_shape(x, co, k, g);
    }
}

#[test]
fn many_channels_are_shared_out_by_channel_and_agree_with_the_definition() {
    check_shape([3, 304, 4, 4], 304, 3, geometry(1, 1, 1));
}
