use std::ops::Range;

use candle_core::{Device, Result, Tensor, Var};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::batch::{Lanes, correlate_in};
use super::correlation::Correlation;
use super::finish::{Finish, Finished};
use super::weight_gradient::weight_gradient;
use super::winograd::{self, Plan, Share};
use super::{forward_order, input_gradient_order};
use crate::conv2d::problem::Problem;
use crate::conv2d::reference;
use crate::simd::Isa;
use crate::{Conv2dGeometry, Error, conv2d};

fn normal(seed: u64, dims: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> =
        (0..dims.iter().product()).map(|_| StandardNormal.sample(&mut rng)).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Forward result and both gradients of `sum(y * direction)`.
fn all_three(
    x: &Tensor,
    w: &Tensor,
    direction: &Tensor,
    geometry: Conv2dGeometry,
) -> Result<[Tensor; 3]> {
    let (x, w) = (Var::from_tensor(x)?, Var::from_tensor(w)?);
    let y = conv2d(x.as_tensor(), w.as_tensor(), geometry)?;
    let grads = (&y * direction)?.sum_all()?.backward()?;
    Ok([y, grads.get(&x).unwrap().clone(), grads.get(&w).unwrap().clone()])
}

/// Compares within a small multiple of the rounding error of a sum of these magnitudes.
#[track_caller]
fn check_close(what: &str, found: &[f32], [expected, magnitude]: &[Vec<f64>; 2]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&f, (&e, &m))) in found.iter().zip(expected.iter().zip(magnitude)).enumerate() {
        assert!(
            (f64::from(f) - e).abs() <= 2e-6 * m + 1e-12,
            "{what}[{i}]: {f} instead of {e}, sum of magnitudes {m}"
        );
    }
}

/// With a Winograd transform, the error of an output scales with the largest magnitude in its tile,
/// and that of a tap with that in its kernel; twice as much must be allowed.
fn of_tiles(
    [expected, magnitude]: &[Vec<f64>; 2],
    [height, width]: [usize; 2],
    tile: usize,
) -> [Vec<f64>; 2] {
    let mut largest = magnitude.clone();
    for (plane, largest) in magnitude.chunks(height * width).zip(largest.chunks_mut(height * width))
    {
        for (pixel, largest) in largest.iter_mut().enumerate() {
            let (top, left) = (pixel / width / tile * tile, pixel % width / tile * tile);
            let rows = top..(top + tile).min(height);
            let all = rows
                .flat_map(|row| &plane[row * width + left..row * width + (left + tile).min(width)]);
            *largest = 2.0 * all.copied().fold(0.0, f64::max);
        }
    }
    [expected.clone(), largest]
}

/// Changes a value depending on its place, such that a second change or a wrong place would show.
struct Marked {
    plane: usize,
    channels: usize,
}

impl Finish for Marked {
    fn finish(&self, channel: usize, place: Range<usize>, values: &mut [f32]) {
        assert_eq!(place.len(), values.len());
        for (index, value) in place.zip(values) {
            assert_eq!(index / self.plane % self.channels, channel, "of value {index}");
            *value = 3.0 * *value + (index % 1000) as f32;
        }
    }
}

/// Checks that a computation without a last step gives what is finished with one.
#[track_caller]
fn check_finished(
    what: &str,
    [_, channels, height, width]: [usize; 4],
    compute: impl Fn(Finished) -> Vec<f32>,
) -> Vec<f32> {
    let plain = compute(None);
    let marked = Marked { plane: height * width, channels };
    let mut expected = plain.clone();
    for (index, value) in expected.chunks_exact_mut(marked.plane).enumerate() {
        let start = index * marked.plane;
        marked.finish(index % channels, start..start + marked.plane, value);
    }
    assert_eq!(compute(Some(&marked)), expected, "{what}, finished");
    plain
}

/// Checks all algorithms on every instruction set of this processor, and the public function.
#[track_caller]
fn check_shape(
    x_dims: [usize; 4],
    out_channels: usize,
    kernel: [usize; 2],
    geometry: Conv2dGeometry,
) {
    let w_dims = [out_channels, x_dims[1] / geometry.groups, kernel[0], kernel[1]];
    let p = Problem::new(&x_dims, &w_dims, geometry).unwrap();
    let (x, w, dy) = (normal(1, &x_dims), normal(2, &w_dims), normal(3, &p.output_dims()));
    let what = format!("{x_dims:?} {w_dims:?} {geometry:?}");
    let [y, dx, dw] = all_three(&x, &w, &dy, geometry).unwrap();
    assert_eq!(y.dims(), p.output_dims(), "{what}");
    let (x, w, dy) = (flat(&x), flat(&w), flat(&dy));
    let expected = [
        reference::forward(&p, &x, &w),
        reference::input_gradient(&p, &dy, &w),
        reference::weight_gradient(&p, &x, &dy),
    ];
    let (forward, backward) = (Plan::forward(&p), Plan::input_gradient(&p));
    let of_tiles = match forward {
        Some(_) => [
            of_tiles(&expected[0], [p.out_height, p.out_width], 4),
            of_tiles(&expected[1], [p.height, p.width], 4),
            of_tiles(&expected[2], kernel, 3),
        ],
        None => expected.clone(),
    };
    check_close(&format!("y of {what}"), &flat(&y), &of_tiles[0]);
    check_close(&format!("dx of {what}"), &flat(&dx), &of_tiles[1]);
    check_close(&format!("dw of {what}"), &flat(&dw), &of_tiles[2]);
    for isa in Isa::available() {
        let (Some(forward), Some(backward)) = (forward, backward) else { break };
        for share in [Share::Tiles, Share::Channels] {
            let what = format!("{what} {isa:?} {share:?}");
            let y = check_finished(&what, p.output_dims(), |finish| {
                let order = forward_order(&p);
                winograd::correlate_in(isa, share, &forward, &x, &w, order, false, finish)
            });
            check_close(&format!("y of {what}"), &y, &of_tiles[0]);
            let dx = check_finished(&what, p.input_dims(), |finish| {
                let order = input_gradient_order(&p);
                winograd::correlate_in(isa, share, &backward, &dy, &w, order, true, finish)
            });
            check_close(&format!("dx of {what}"), &dx, &of_tiles[1]);
        }
        check_close(
            &format!("dw of {what} {isa:?}"),
            &winograd::weight_gradient(isa, &forward, &x, &dy),
            &of_tiles[2],
        );
    }
    for isa in Isa::available() {
        for lanes in [Lanes::Rows, Lanes::Pixels] {
            let what = format!("{what} {isa:?} {lanes:?}");
            let y = check_finished(&what, p.output_dims(), |finish| {
                let (c, order) = (Correlation::forward(&p), forward_order(&p));
                correlate_in(isa, lanes, &c, p.groups, &x, &w, order, finish)
            });
            check_close(&format!("y of {what}"), &y, &expected[0]);
            let dx = check_finished(&what, p.input_dims(), |finish| {
                let (c, order) = (Correlation::input_gradient(&p), input_gradient_order(&p));
                correlate_in(isa, lanes, &c, p.groups, &dy, &w, order, finish)
            });
            check_close(&format!("dx of {what}"), &dx, &expected[1]);
        }
        check_close(
            &format!("dw of {what} {isa:?}"),
            &weight_gradient(isa, &p, &x, &dy),
            &expected[2],
        );
    }
}

fn geometry(stride: usize, padding: usize, dilation: usize, groups: usize) -> Conv2dGeometry {
    Conv2dGeometry { stride, padding, dilation, groups }
}

/// Small versions of the layers that the networks of this project have.
#[test]
fn agrees_with_the_definition_on_the_layers_in_use() {
    for (x, co, k, g) in [
        ([3, 1, 32, 32], 16, 7, geometry(1, 3, 1, 1)),
        ([2, 1, 36, 64], 8, 13, geometry(1, 0, 1, 1)),
        ([2, 1, 18, 32], 32, 9, geometry(1, 4, 1, 1)),
        ([2, 16, 16, 16], 16, 3, geometry(1, 1, 1, 1)),
        ([2, 33, 8, 8], 40, 3, geometry(1, 1, 1, 1)),
        ([3, 16, 17, 16], 32, 3, geometry(2, 1, 1, 1)),
        ([3, 16, 16, 16], 32, 1, geometry(2, 0, 1, 1)),
        ([5, 96, 4, 4], 80, 3, geometry(1, 1, 1, 1)),
        ([2, 96, 4, 4], 64, 1, geometry(1, 0, 1, 1)),
        ([2, 8, 18, 32], 8, 9, geometry(1, 4, 1, 8)),
        ([3, 200, 3, 4], 150, 3, geometry(1, 1, 1, 1)),
        ([2, 16, 36, 64], 16, 3, geometry(1, 1, 1, 1)),
        ([9, 20, 9, 16], 33, 3, geometry(1, 1, 1, 1)),
        ([65, 17, 5, 8], 16, 3, geometry(1, 1, 1, 1)),
        ([4, 40, 7, 13], 16, 3, geometry(1, 0, 1, 1)),
        ([65, 3, 5, 6], 4, 3, geometry(1, 1, 1, 1)),
        ([1, 64, 1, 1], 10, 1, geometry(1, 0, 1, 1)),
    ] {
        check_shape(x, co, [k, k], g);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_definition_on_a_sample_of_all_shapes(
        batch in prop_oneof![4 => 1_usize..4, 1 => 60_usize..66],
        group_in in prop_oneof![3 => 1_usize..5, 1 => 15_usize..36],
        group_out in prop_oneof![3 => 1_usize..5, 1 => 15_usize..36],
        height in 1_usize..14, width in 1_usize..20, kernel in (1_usize..5, 1_usize..6),
        stride in 1_usize..4, padding in 0_usize..4, dilation in 1_usize..3, groups in 1_usize..4,
    ) {
        let span = |k: usize| dilation * (k - 1) + 1;
        prop_assume!(span(kernel.0) <= height + 2 * padding && span(kernel.1) <= width + 2 * padding);
        prop_assume!(batch < 4 || group_in * group_out < 40);
        check_shape([batch, group_in * groups, height, width], group_out * groups, [kernel.0, kernel.1], geometry(stride, padding, dilation, groups));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_definition_on_a_sample_of_the_shapes_for_transforms(
        batch in prop_oneof![4 => 1_usize..6, 1 => 60_usize..66],
        inputs in 1_usize..70, outputs in 1_usize..70, height in 1_usize..19, width in 1_usize..24, padding in 0_usize..3,
    ) {
        prop_assume!(height + 2 * padding >= 3 && width + 2 * padding >= 3);
        prop_assume!(batch * inputs * outputs * height * width < 400_000);
        check_shape([batch, inputs, height, width], outputs, [3, 3], geometry(1, padding, 1, 1));
    }
}

/// The convolution is linear in each argument, so a wide central difference is exact up to
/// rounding.
#[track_caller]
fn check_differences(x_dims: [usize; 4], w_dims: [usize; 4], g: Conv2dGeometry) {
    const STEP: f32 = 2.0;
    let p = Problem::new(&x_dims, &w_dims, g).unwrap();
    let (x, w, direction) = (normal(1, &x_dims), normal(2, &w_dims), normal(3, &p.output_dims()));
    let value = |x: &Tensor, w: &Tensor| -> f64 {
        let y = flat(&conv2d(x, w, g).unwrap());
        y.iter().zip(flat(&direction)).map(|(&y, d)| f64::from(y) * f64::from(d)).sum()
    };
    let [_, dx, dw] = all_three(&x, &w, &direction, g).unwrap();
    let nudged = |t: &Tensor, i: usize, by: f32| {
        let mut values = flat(t);
        values[i] += by;
        Tensor::from_vec(values, t.dims(), &Device::Cpu).unwrap()
    };
    let check = |what: &str, gradient: &Tensor, at: &dyn Fn(usize, f32) -> f64| {
        let gradient = flat(gradient);
        let largest = gradient.iter().fold(1f32, |largest, g| largest.max(g.abs()));
        for (i, found) in gradient.into_iter().enumerate() {
            let difference = (at(i, STEP) - at(i, -STEP)) / f64::from(2.0 * STEP);
            let error = (f64::from(found) - difference).abs();
            assert!(
                error < 2e-5 * f64::from(largest),
                "{what}[{i}] of {x_dims:?} {w_dims:?}: {found} instead of {difference}"
            );
        }
    };
    check("x", &dx, &|i, by| value(&nudged(&x, i, by), &w));
    check("w", &dw, &|i, by| value(&x, &nudged(&w, i, by)));
}

#[test]
fn gradients_agree_with_finite_differences() {
    check_differences([2, 4, 7, 6], [6, 2, 3, 3], geometry(2, 1, 1, 2));
    check_differences([3, 1, 9, 11], [4, 1, 5, 5], geometry(1, 2, 1, 1));
    check_differences([2, 3, 8, 9], [5, 3, 3, 3], geometry(1, 2, 2, 1));
}

#[test]
fn gradients_by_transforms_agree_with_finite_differences() {
    for (x_dims, w_dims) in [([2, 16, 9, 10], [16, 16, 3, 3]), ([9, 20, 5, 6], [17, 20, 3, 3])] {
        let plan = Plan::forward(&Problem::new(&x_dims, &w_dims, geometry(1, 1, 1, 1)).unwrap());
        assert!(plan.is_some(), "{x_dims:?} {w_dims:?} uses no transform");
        check_differences(x_dims, w_dims, geometry(1, 1, 1, 1));
    }
}

#[test]
fn reads_narrowed_and_transposed_arguments() {
    let g = geometry(1, 1, 1, 1);
    let (x, w) = (normal(1, &[5, 9, 8, 7]), normal(2, &[3, 3, 20, 6]));
    let x = x.narrow(0, 1, 3).unwrap().narrow(1, 2, 6).unwrap().transpose(2, 3).unwrap();
    let w = w.permute([2, 3, 0, 1]).unwrap();
    let p = Problem::new(x.dims(), w.dims(), g).unwrap();
    check_close(
        "y",
        &flat(&conv2d(&x, &w, g).unwrap()),
        &reference::forward(&p, &flat(&x), &flat(&w)),
    );

    let (x, w) = (Var::from_tensor(&normal(1, &[4, 6, 7, 8])).unwrap(), normal(2, &[20, 6, 3, 3]));
    let seen = x.narrow(0, 1, 2).unwrap();
    let direction = normal(3, &[20, 2, 8, 7]).permute([1, 0, 3, 2]).unwrap();
    let y = conv2d(&seen, &w, g).unwrap();
    let grads = (y * &direction).unwrap().sum_all().unwrap().backward().unwrap();
    let p = Problem::new(seen.dims(), w.dims(), g).unwrap();
    let dx = grads.get(&x).unwrap();
    check_close(
        "dx",
        &flat(&dx.narrow(0, 1, 2).unwrap()),
        &reference::input_gradient(&p, &flat(&direction), &flat(&w)),
    );
    assert!(flat(&dx.narrow(0, 3, 1).unwrap()).iter().all(|&g| g == 0.0));
}

#[test]
fn gives_gradients_only_where_they_are_asked_for() {
    let (x, w) = (normal(1, &[2, 3, 6, 6]), Var::from_tensor(&normal(2, &[4, 3, 3, 3])).unwrap());
    let y = conv2d(&x, &w, Conv2dGeometry::default()).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&w).is_some());
    assert!(grads.get(&x).is_none());
}

#[test]
fn is_bitwise_the_same_for_any_number_of_threads() {
    for (dims, co, k, g) in [
        ([13, 16, 12, 12], 32, 3, geometry(1, 1, 1, 1)),
        ([7, 40, 36, 20], 70, 3, geometry(1, 1, 1, 1)),
        ([20, 304, 4, 4], 300, 3, geometry(1, 1, 1, 1)),
        ([9, 24, 11, 10], 20, 3, geometry(2, 1, 1, 1)),
        ([5, 200, 3, 4], 150, 3, geometry(1, 1, 1, 1)),
        ([33, 1, 20, 20], 16, 7, geometry(1, 3, 1, 1)),
        ([6, 8, 12, 20], 8, 5, geometry(1, 2, 1, 8)),
    ] {
        let w_dims = [co, dims[1] / g.groups, k, k];
        let (x, w) = (normal(1, &dims), normal(2, &w_dims));
        let direction = normal(3, &Problem::new(x.dims(), w.dims(), g).unwrap().output_dims());
        let bits = |threads: usize| -> Vec<Vec<u32>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let tensors = pool.install(|| all_three(&x, &w, &direction, g).unwrap());
            tensors.iter().map(|t| flat(t).into_iter().map(f32::to_bits).collect()).collect()
        };
        let one = bits(1);
        assert!(one == bits(2) && one == bits(3), "{dims:?} {w_dims:?}");
    }
}

/// The error, which candle's own error carries as text.
fn refused(x: &Tensor, w: &Tensor, g: Conv2dGeometry) -> Error {
    let error = Problem::new(x.dims(), w.dims(), g).unwrap_err();
    assert!(conv2d(x, w, g).unwrap_err().to_string().starts_with(&error.to_string()));
    error
}

#[test]
fn refuses_what_it_cannot_do() {
    let t = |dims: &[usize]| Tensor::zeros(dims, candle_core::DType::F32, &Device::Cpu).unwrap();
    let (x, w) = (t(&[2, 4, 6, 6]), t(&[8, 4, 3, 3]));
    let plain = Conv2dGeometry::default();
    let is_shape =
        |e: Error, name: &str| matches!(e, Error::Shape { argument, .. } if argument == name);
    assert!(is_shape(refused(&t(&[4, 6, 6]), &w, plain), "x"));
    assert!(is_shape(refused(&x, &t(&[8, 4, 9]), plain), "weight"));
    assert!(is_shape(refused(&t(&[0, 4, 6, 6]), &w, plain), "x"));
    assert!(is_shape(refused(&x, &t(&[8, 4, 0, 3]), plain), "weight"));
    assert!(is_shape(refused(&x, &t(&[8, 3, 3, 3]), plain), "weight"));
    assert!(is_shape(refused(&x, &t(&[8, 4, 7, 7]), plain), "weight"));
    assert!(is_shape(refused(&x, &w, geometry(1, 0, 1, 3)), "weight"));
    assert!(is_shape(refused(&x, &t(&[7, 2, 3, 3]), geometry(1, 0, 1, 2)), "weight"));
    for g in [geometry(0, 0, 1, 1), geometry(1, 0, 0, 1), geometry(1, 0, 1, 0)] {
        assert!(matches!(refused(&x, &w, g), Error::Parameter { .. }));
    }
    let halves = conv2d(&x, &w.to_dtype(candle_core::DType::F16).unwrap(), plain).unwrap_err();
    assert!(halves.to_string().contains("weight holds F16, expected F32"));
    for g in [
        geometry(1, usize::MAX, 1, 1),
        geometry(1, usize::MAX / 4, 1, 1),
        geometry(1, 1 << 30, 1, 1),
        geometry(1, 0, usize::MAX, 1),
    ] {
        assert!(matches!(refused(&x, &w, g), Error::Overflow { .. }), "{g:?}");
    }
}
