//! Every map has the same bits as candle's own operations.

use super::*;
use crate::testing::{elements, same_for_any_threads, values};
use candle_core::{Var, backprop::GradStore};

/// Values of both signs, including both zeros.
fn signed(shape: &[usize], seed: u64) -> Var {
    let mut values = values(shape.iter().product(), seed);
    for (value, zero) in values.iter_mut().step_by(5).zip([0.0, -0.0, 0.0]) {
        *value = zero;
    }
    Var::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn positive(shape: &[usize], seed: u64) -> Var {
    let values =
        values(shape.iter().product(), seed).into_iter().map(|value| 3.0 * value.abs()).collect();
    Var::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    elements(tensor).into_iter().map(f32::to_bits).collect()
}

/// A scalar with a different gradient for each value of `y`.
fn weighed(y: &Tensor) -> Tensor {
    let weights = Tensor::from_vec(values(y.elem_count(), 99), y.shape(), &Device::Cpu).unwrap();
    (y * weights).unwrap().sum_all().unwrap()
}

#[track_caller]
fn check(ours: &Tensor, candle: &Tensor, variables: &[&Var]) {
    assert_eq!(bits(ours), bits(candle));
    let gradients = |y: &Tensor| weighed(y).backward().unwrap();
    let (ours, candle): (GradStore, GradStore) = (gradients(ours), gradients(candle));
    for variable in variables {
        assert_eq!(
            bits(ours.get(variable).unwrap()),
            bits(candle.get(variable).unwrap()),
            "{:?}",
            variable.dims()
        );
    }
}

/// More values than one part, with an incomplete last part.
const SHAPE: [usize; 2] = [41, 813];

#[test]
fn absolute_sums_are_those_of_candle() {
    let x = signed(&SHAPE, 1);
    check(&absolute_sum(&x).unwrap(), &x.abs().unwrap().sum_all().unwrap(), &[&x]);
}

/// If a penalty reads convolution weights as well, both gradients count.
#[test]
fn gradients_of_absolute_sums_are_collected() {
    let x = signed(&[30, 20], 1);
    let features = crate::FeatureMap::new(&signed(&[2, 20, 4, 5], 2)).unwrap();
    let positions = signed(&[2, 30, 2], 3);
    let loss = |penalty: Tensor| {
        (weighed(&features.point_readout(&positions, &x).unwrap()) + penalty).unwrap()
    };
    let ours = crate::backward(&loss(absolute_sum(&x).unwrap())).unwrap();
    let candle = crate::backward(&loss(x.abs().unwrap().sum_all().unwrap())).unwrap();
    assert_eq!(bits(ours.get(&x).unwrap()), bits(candle.get(&x).unwrap()));
}

#[test]
fn moving_averages_are_those_of_candle() {
    let (average, x) = (signed(&SHAPE, 1), signed(&SHAPE, 2));
    for decay in [0.99, 2.0 / 11.0] {
        let expected = ((average.as_tensor() * decay).unwrap()
            + (x.as_tensor() * (1.0 - decay)).unwrap())
        .unwrap();
        let found = moving_average(average.copy().unwrap().detach(), &x, decay).unwrap();
        assert_eq!(bits(&found), bits(&expected));
    }
    assert!(moving_average(average.copy().unwrap(), &signed(&[41, 3], 2), 0.5).is_err());
}

#[test]
fn places_are_moved_and_rescaled_as_by_candle() {
    for batch in [1, 7] {
        let (places, shifts) = (signed(&[3_000, 2], 1), signed(&[batch, 2], 7 * batch as u64));
        let candle =
            places.unsqueeze(0).unwrap().broadcast_add(&shifts.unsqueeze(1).unwrap()).unwrap();
        let ours = moved(&places, &shifts).unwrap();
        check(&ours, &candle, &[&places, &shifts]);
        // Like several levels of a pyramid.
        let axes = [[0.7, -0.1], [1.3, 0.2]];
        let vector = |part: usize| {
            Tensor::new(&axes.map(|axis: [f64; 2]| axis[part] as f32), &Device::Cpu).unwrap()
        };
        let by_candle =
            candle.broadcast_mul(&vector(0)).unwrap().broadcast_add(&vector(1)).unwrap();
        check(
            &(rescaled(&ours, axes).unwrap() * &ours).unwrap(),
            &(by_candle * &candle).unwrap(),
            &[&places, &shifts],
        );
    }
    assert!(moved(&signed(&[9, 3], 1), &signed(&[8, 2], 1)).is_err());
    assert!(moved(&signed(&[9, 2], 1), &signed(&[8, 3], 1)).is_err());
}

#[test]
fn rates_are_those_of_candle() {
    let x = Var::from_tensor(&(signed(&SHAPE, 1).as_tensor() * 30.0).unwrap()).unwrap();
    let candle = (x.relu().unwrap()
        + x.neg().unwrap().relu().unwrap().neg().unwrap().exp().unwrap())
    .unwrap();
    check(&elu_rate(&x).unwrap(), &candle, &[&x]);
}

#[test]
fn poisson_losses_are_those_of_candle() {
    let (rates, responses, weights) =
        (positive(&SHAPE, 1), positive(&SHAPE, 2), positive(&SHAPE, 3));
    let (responses, weights) = (responses.as_tensor().detach(), weights.as_tensor().detach());
    let logs = (rates.as_tensor() + 1e-8).unwrap().log().unwrap();
    let candle = ((rates.as_tensor() - (&responses * logs).unwrap()).unwrap() * &weights)
        .unwrap()
        .sum_all()
        .unwrap();
    check(&poisson_loss(&rates, &responses, &weights, 1e-8).unwrap(), &candle, &[&rates]);
    assert!(poisson_loss(&rates, &responses.narrow(0, 0, 3).unwrap(), &weights, 1e-8).is_err());
}

#[test]
fn maps_are_the_same_bits_for_any_number_of_threads() {
    same_for_any_threads(|| {
        let (places, shifts) = (signed(&[9_000, 2], 1), signed(&[5, 2], 2));
        let there = rescaled(&moved(&places, &shifts).unwrap(), [[0.7, -0.1], [1.3, 0.2]]).unwrap();
        let loss = (weighed(&elu_rate(&there).unwrap()) + absolute_sum(&places).unwrap()).unwrap();
        let gradients = loss.backward().unwrap();
        let of = |variable: &Var| gradients.get(variable).unwrap().clone();
        vec![loss, of(&places), of(&shifts)]
    });
}
