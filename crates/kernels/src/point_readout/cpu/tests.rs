use super::image::Targets;
use super::*;
use crate::point_readout::point_readout;
use crate::point_readout::reference::reference;
use crate::testing::{close, numeric_gradient, same_for_any_threads, scattered, values, var, wide};
use candle_core::{Tensor, Var};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn equals_interpolation_by_definition(batch in 1usize..6, channels in prop::sample::select(vec![1usize, 2, 7, 16, 19]), height in 1usize..6, width in 1usize..6, neurons in 1usize..5, seed in 0u64..99) {
        let op = PointReadout { batch, channels, neurons, grid: Grid { height, width, align_corners: false } };
        let features = var(&[batch, channels, height, width], seed);
        // 1.3 times the range, to extend beyond the edges.
        let spread: Vec<f32> = values(batch * neurons * 2, seed + 1).into_iter().map(|value| 1.3 * value).collect();
        let positions = Var::from_vec(spread, (batch, neurons, 2), &Device::Cpu).unwrap();
        let weights = var(&[neurons, channels], seed + 2);
        let y = point_readout(&features, &positions, &weights).unwrap();
        let upstream = Tensor::from_vec(values(batch * neurons, seed + 3), (batch, neurons), &Device::Cpu).unwrap();
        let grads = (&y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
        let (f, p, w, up) = (wide(&features), wide(&positions), wide(&weights), wide(&upstream));
        close(&y, &reference(&op, &f, &p, &w), 1e-5);
        let total = |f: &[f64], p: &[f64], w: &[f64]| reference(&op, f, p, w).iter().zip(&up).map(|(y, g)| y * g).sum::<f64>();
        close(grads.get(&features).unwrap(), &numeric_gradient(&f, |f| total(f, &p, &w)), 1e-4);
        close(grads.get(&positions).unwrap(), &numeric_gradient(&p, |p| total(&f, p, &w)), 1e-3);
        close(grads.get(&weights).unwrap(), &numeric_gradient(&w, |w| total(&f, &p, w)), 1e-4);
    }
}

#[test]
fn edges_and_centers_are_where_the_convention_puts_them() {
    let features = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0], (1, 1, 1, 4), &Device::Cpu).unwrap();
    let positions = Tensor::from_slice(
        &[-1f32, 0.0, -0.75, 0.0, 0.0, 0.0, 1.0, 0.0, f32::NAN, 0.0],
        (1, 5, 2),
        &Device::Cpu,
    )
    .unwrap();
    let weights = Tensor::ones((5, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
    let y = crate::testing::elements(&point_readout(&features, &positions, &weights).unwrap());
    assert_eq!(y[..4], [1.0, 1.0, 2.5, 4.0]);
    assert!(y[4].is_nan());
}

/// The definition on every instruction set of this processor, with channels that fill less than a
/// vector, one, and several plus a rest.
#[test]
fn every_instruction_set_follows_the_definition() {
    for channels in [1, 8, 16, 37] {
        let op = PointReadout {
            batch: 1,
            channels,
            neurons: 9,
            grid: Grid { height: 3, width: 4, align_corners: false },
        };
        let (features, weights, upstream) =
            (values(channels * 12, 1), values(9 * channels, 2), values(9, 3));
        let positions: Vec<f32> = values(18, 4).into_iter().map(|value| 1.3 * value).collect();
        let [f, p, w, up] = [&features, &positions, &weights, &upstream]
            .map(|v| v.iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
        let total = |f: &[f64], p: &[f64], w: &[f64]| {
            reference(&op, f, p, w).iter().zip(&up).map(|(y, g)| y * g).sum::<f64>()
        };
        let mut pixels = vec![0.0; features.len()];
        image::channels_last(&features, &mut pixels, channels);
        let view = View { op: &op, pixels: &pixels, positions: &positions, weights: &weights };
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        for isa in Isa::available() {
            let mut output = vec![0.0; 9];
            image::read(isa, view, &mut output);
            close(&tensor(&output), &reference(&op, &f, &p, &w), 1e-6);
            let (mut to_pixels, mut to_positions, mut to_weights) =
                (vec![0.0; pixels.len()], vec![0.0; 18], vec![0.0; weights.len()]);
            let into = Targets {
                pixels: &mut to_pixels,
                positions: &mut to_positions,
                weights: &mut to_weights,
            };
            image::differentiate(isa, view, &upstream, into);
            let mut to_features = vec![0.0; features.len()];
            image::channels_first(&to_pixels, &mut to_features, channels);
            close(&tensor(&to_features), &numeric_gradient(&f, |f| total(f, &p, &w)), 1e-6);
            close(&tensor(&to_positions), &numeric_gradient(&p, |p| total(&f, p, &w)), 1e-5);
            close(&tensor(&to_weights), &numeric_gradient(&w, |w| total(&f, &p, w)), 1e-6);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    same_for_any_threads(|| {
        let (f, p, w) = (var(&[33, 6, 7, 9], 1), var(&[33, 11, 2], 2), var(&[11, 6], 3));
        let y = point_readout(&f, &p, &w).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        vec![
            y,
            grads.get(&f).unwrap().clone(),
            grads.get(&p).unwrap().clone(),
            grads.get(&w).unwrap().clone(),
        ]
    });
}

#[test]
fn large_batches_and_many_neurons() {
    // Several stretches of images with a shorter last one, and sums longer than one thread's part.
    let (batch, channels, neurons) = (65, 3, 3000);
    let op = PointReadout {
        batch,
        channels,
        neurons,
        grid: Grid { height: 2, width: 3, align_corners: false },
    };
    let (f, p, w) = (
        var(&[batch, channels, 2, 3], 1),
        var(&[batch, neurons, 2], 2),
        var(&[neurons, channels], 3),
    );
    let y = point_readout(&f, &p, &w).unwrap();
    close(&y, &reference(&op, &wide(&f), &wide(&p), &wide(&w)), 1e-5);
    let grads = y.sum_all().unwrap().backward().unwrap();
    // The value is linear in the features and in the weights: each gradient times its argument
    // gives the sum of the values.
    let total: f64 = wide(&y).iter().sum();
    for var in [&f, &w] {
        let product: f64 =
            wide(var).iter().zip(wide(grads.get(var).unwrap())).map(|(x, g)| x * g).sum();
        assert!((product - total).abs() < 1e-3 * total.abs().max(1.0), "{product} against {total}");
    }
}

#[test]
fn views_are_read_as_they_stand() {
    let (f, p, w) = (var(&[3, 4, 5, 6], 1), var(&[3, 7, 2], 2), var(&[7, 4], 3));
    let run = |view: &dyn Fn(&Tensor) -> Tensor| {
        let y = point_readout(&view(&f), &view(&p), &view(&w)).unwrap();
        let grads = view(&y).sqr().unwrap().sum_all().unwrap().backward().unwrap();
        [
            wide(&y),
            wide(grads.get(&f).unwrap()),
            wide(grads.get(&p).unwrap()),
            wide(grads.get(&w).unwrap()),
        ]
    };
    assert_eq!(run(&scattered), run(&|x: &Tensor| x.clone()));
}

#[test]
fn gradients_that_nobody_asks_for_are_left_out() {
    let (f, p, w) = (var(&[5, 2, 3, 3], 1), var(&[5, 4, 2], 2), var(&[4, 2], 3));
    let y = point_readout(&f.as_tensor().detach(), &p.as_tensor().detach(), &w).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&w).is_some() && grads.get(&f).is_none() && grads.get(&p).is_none());
    let y = point_readout(&f, &p.as_tensor().detach(), &w.as_tensor().detach()).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&f).is_some() && grads.get(&w).is_none() && grads.get(&p).is_none());
    let y = point_readout(&f.as_tensor().detach(), &p, &w.as_tensor().detach()).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&p).is_some() && grads.get(&w).is_none() && grads.get(&f).is_none());
}

#[test]
fn wrong_arguments_are_errors() {
    let (f, p, w) = (var(&[2, 3, 4, 4], 1), var(&[2, 5, 2], 2), var(&[5, 3], 3));
    let fails = |f: &Tensor, p: &Tensor, w: &Tensor, part: &str| {
        let error = point_readout(f, p, w).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    fails(&f, &p, &var(&[5, 2], 1), "weights has shape [5, 2], expected [5, 3]");
    fails(&f, &var(&[1, 5, 2], 1), &w, "positions has shape [1, 5, 2], expected [2, 5, 2]");
    fails(&w, &p, &w, "features has shape [5, 3]");
}
