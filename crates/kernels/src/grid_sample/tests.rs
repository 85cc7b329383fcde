use super::reference::reference;
use super::*;
use crate::testing::{
    close, elements, numeric_gradient, same_for_any_threads, scattered, values, var, wide,
};
use candle_core::{Device, Var};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn equals_interpolation_by_definition(
        batch in 1usize..4, channels in 1usize..4, height in 1usize..6, width in 1usize..6, points in 1usize..5,
        align_corners: bool, seed in 0u64..99,
    ) {
        let op = GridSample { batch, channels, points, grid: Grid { height, width, align_corners } };
        let features = var(&[batch, channels, height, width], seed);
        // 1.3 times the range, to extend beyond the edges.
        let spread: Vec<f32> = values(batch * points * 2, seed + 1).into_iter().map(|value| 1.3 * value).collect();
        let positions = Var::from_vec(spread, (batch, points, 2), &Device::Cpu).unwrap();
        let y = grid_sample(&features, &positions, align_corners).unwrap();
        let upstream = Tensor::from_vec(values(batch * channels * points, seed + 2), y.dims(), &Device::Cpu).unwrap();
        let grads = (&y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
        let (f, p, up) = (wide(&features), wide(&positions), wide(&upstream));
        close(&y, &reference(&op, &f, &p), 1e-5);
        let total = |f: &[f64], p: &[f64]| reference(&op, f, p).iter().zip(&up).map(|(y, g)| y * g).sum::<f64>();
        close(grads.get(&features).unwrap(), &numeric_gradient(&f, |f| total(f, &p)), 1e-4);
        close(grads.get(&positions).unwrap(), &numeric_gradient(&p, |p| total(&f, p)), 1e-3);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    same_for_any_threads(|| {
        let (f, p) = (var(&[33, 6, 7, 9], 1), var(&[33, 11, 2], 2));
        let y = grid_sample(&f, &p, false).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        vec![y, grads.get(&f).unwrap().clone(), grads.get(&p).unwrap().clone()]
    });
}

#[test]
fn views_are_read_as_they_stand() {
    let (f, p) = (var(&[3, 4, 5, 6], 1), var(&[3, 7, 2], 2));
    let run = |view: &dyn Fn(&Tensor) -> Tensor| {
        let y = grid_sample(&view(&f), &view(&p), true).unwrap();
        let grads = view(&y).sqr().unwrap().sum_all().unwrap().backward().unwrap();
        [wide(&y), wide(grads.get(&f).unwrap()), wide(grads.get(&p).unwrap())]
    };
    assert_eq!(run(&scattered), run(&|x: &Tensor| x.clone()));
}

#[test]
fn gradients_that_nobody_asks_for_are_left_out() {
    let (f, p) = (var(&[5, 2, 3, 3], 1), var(&[5, 4, 2], 2));
    let y = grid_sample(&f.as_tensor().detach(), &p, false).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&p).is_some() && grads.get(&f).is_none());
    let y = grid_sample(&f, &p.as_tensor().detach(), false).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&f).is_some() && grads.get(&p).is_none());
}

#[test]
fn a_position_that_is_not_a_number_shows() {
    let features = var(&[1, 1, 2, 2], 1);
    let positions = Tensor::new(&[[[f32::NAN, 0.0]]], &Device::Cpu).unwrap();
    assert!(elements(&grid_sample(&features, &positions, true).unwrap())[0].is_nan());
}
