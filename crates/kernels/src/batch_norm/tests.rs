use super::reference::reference;
use super::*;
use crate::testing::{
    close, elements, numeric_gradient, same_for_any_threads, scattered, values, var, wide,
};
use candle_core::Device;
use proptest::prelude::*;

pub(super) const EPS: f64 = 1e-5;

fn fixed_at<'a>(mean: &'a Tensor, variance: &'a Tensor) -> FixedStatistics<'a> {
    FixedStatistics { mean, variance, eps: EPS }
}

fn check(dims: [usize; 4], activation: Activation, with_residual: bool, training: bool) {
    let (x, residual) = (var(&dims, 1), var(&dims, 2));
    let (scale, shift) = (var(&[dims[1]], 3), var(&[dims[1]], 4));
    let mean = var(&[dims[1]], 5);
    let variance = mean.as_tensor().sqr().unwrap().affine(1.0, 0.5).unwrap().detach();
    let mean = mean.as_tensor().detach();
    let skip = with_residual.then_some(residual.as_tensor());
    let y = match training {
        true => batch_norm_train(&x, &scale, &shift, skip, activation, EPS).unwrap().0,
        false => batch_norm_eval(&x, &scale, &shift, fixed_at(&mean, &variance), skip, activation)
            .unwrap(),
    };
    let upstream = Tensor::from_vec(values(y.elem_count(), 6), y.dims(), &Device::Cpu).unwrap();
    let grads = (&y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();

    let (count, channels) = (x.elem_count(), dims[1]);
    let at = [
        wide(&x),
        wide(&scale),
        wide(&shift),
        if with_residual { wide(&residual) } else { vec![0.0; count] },
    ]
    .concat();
    let (mean, variance, upstream) = (wide(&mean), wide(&variance), wide(&upstream));
    let f = |at: &[f64]| {
        let (x, rest) = at.split_at(count);
        let (scale, rest) = rest.split_at(channels);
        let (shift, residual) = rest.split_at(channels);
        reference(
            dims,
            x,
            scale,
            shift,
            residual,
            activation,
            (!training).then_some((&mean, &variance)),
        )
    };
    close(&y, &f(&at), 2e-6);
    let expected =
        numeric_gradient(&at, |at| f(at).iter().zip(&upstream).map(|(y, g)| y * g).sum());
    close(grads.get(&x).unwrap(), &expected[..count], 2e-4);
    close(grads.get(&scale).unwrap(), &expected[count..count + channels], 2e-4);
    close(grads.get(&shift).unwrap(), &expected[count + channels..count + 2 * channels], 2e-4);
    match with_residual {
        true => close(grads.get(&residual).unwrap(), &expected[count + 2 * channels..], 2e-4),
        false => assert!(grads.get(&residual).is_none()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn equals_the_definition_and_its_finite_differences(
        batch in 2usize..5, channels in 1usize..4, height in 1usize..6, width in 1usize..6,
        activation in prop::sample::select(vec![Activation::Identity, Activation::Elu]), residual: bool, training: bool,
    ) {
        check([batch, channels, height, width], activation, residual, training);
    }
}

#[test]
fn relu_and_large_batches() {
    check([2, 3, 5, 7], Activation::Relu, true, true);
    check([3, 2, 4, 4], Activation::Relu, false, false);
    check([65, 1, 3, 3], Activation::Identity, true, true);
}

#[test]
fn statistics_are_those_of_the_batch_even_far_from_zero() {
    let x = Tensor::from_vec(values(4 * 2 * 30, 1), (4, 2, 5, 6), &Device::Cpu)
        .unwrap()
        .affine(0.1, 1000.0)
        .unwrap();
    let ones = Tensor::from_slice(&[1f32, 1.0], 2, &Device::Cpu).unwrap();
    let (_, found) = batch_norm_train(&x, &ones, &ones, None, Activation::Identity, EPS).unwrap();
    let all = wide(&x);
    let channel: Vec<f64> = (0..4).flat_map(|n| all[n * 60..n * 60 + 30].to_vec()).collect();
    let mean = channel.iter().sum::<f64>() / 120.0;
    let variance = channel.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 120.0;
    assert!((wide(&found.mean)[0] - mean).abs() < 1e-3);
    assert!(
        (wide(&found.variance)[0] / variance - 1.0).abs() < 1e-3,
        "{} against {variance}",
        wide(&found.variance)[0]
    );
    assert_eq!(found.count, 120);
}

#[test]
fn groups_of_channels_and_of_odd_sizes() {
    // Several channels per group with a remainder, one channel per group, and parts that do not
    // fill a row of lanes.
    for dims in [[3, 70, 2, 2], [2, 3, 17, 17], [2, 300, 1, 1], [5, 37, 3, 5]] {
        let (x, scale, shift) = (var(&dims, 1), var(&[dims[1]], 2), var(&[dims[1]], 3));
        let (y, found) = batch_norm_train(&x, &scale, &shift, None, Activation::Elu, EPS).unwrap();
        close(
            &y,
            &reference(
                dims,
                &wide(&x),
                &wide(&scale),
                &wide(&shift),
                &vec![0.0; x.elem_count()],
                Activation::Elu,
                None,
            ),
            2e-5,
        );
        assert_eq!(found.mean.dims(), [dims[1]]);
    }
}

#[test]
fn views_are_read_as_they_stand() {
    let (x, r, scale, shift) =
        (var(&[3, 4, 5, 6], 1), var(&[3, 4, 5, 6], 2), var(&[4], 3), var(&[4], 4));
    let run = |view: &dyn Fn(&Tensor) -> Tensor| {
        let (y, _) = batch_norm_train(
            &view(&x),
            &scattered_vector(&scale),
            &shift,
            Some(&view(&r)),
            Activation::Elu,
            EPS,
        )
        .unwrap();
        let given = shift.as_tensor().sqr().unwrap().detach();
        let z = batch_norm_eval(
            &view(&x),
            &scale,
            &shift,
            fixed_at(&scattered_vector(&given), &given),
            Some(&view(&r)),
            Activation::Relu,
        )
        .unwrap();
        let grads = view(&(&y * &z).unwrap()).sqr().unwrap().sum_all().unwrap().backward().unwrap();
        [&x, &r, &scale, &shift].map(|var| elements(grads.get(var).unwrap()))
    };
    let scattered_run = run(&scattered);
    for (found, expected) in scattered_run.iter().zip(run(&|x: &Tensor| x.clone())) {
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
                "{found} against {expected}"
            );
        }
    }
}

/// The same values as every second element of a vector twice as long.
fn scattered_vector(vector: &Tensor) -> Tensor {
    let view =
        Tensor::stack(&[vector, vector], 1).unwrap().narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
    assert!(!view.is_contiguous());
    view
}

#[test]
fn what_is_not_a_number_does_not_vanish() {
    let x = Tensor::from_slice(&[f32::NAN, 1.0, 2.0, 3.0], (1, 2, 1, 2), &Device::Cpu).unwrap();
    let (zeros, ones) =
        (x.zeros_like().unwrap(), Tensor::from_slice(&[1f32, 1.0], 2, &Device::Cpu).unwrap());
    for activation in [Activation::Identity, Activation::Relu, Activation::Elu] {
        let (y, _) = batch_norm_train(&x, &ones, &ones, None, activation, EPS).unwrap();
        assert_eq!(
            elements(&y).iter().map(|y| y.is_nan()).collect::<Vec<_>>(),
            [true, true, false, false],
            "{activation:?}"
        );
        let y = batch_norm_eval(&x, &ones, &ones, fixed_at(&ones, &ones), Some(&zeros), activation)
            .unwrap();
        assert_eq!(
            elements(&y).iter().map(|y| y.is_nan()).collect::<Vec<_>>(),
            [true, false, false, false],
            "{activation:?}"
        );
    }
}

#[test]
fn a_channel_without_variance_is_its_shift() {
    let x = Tensor::full(3f32, (2, 1, 2, 2), &Device::Cpu).unwrap();
    let (scale, shift) = (var(&[1], 1), var(&[1], 2));
    let x = candle_core::Var::from_tensor(&x).unwrap();
    let (y, found) = batch_norm_train(&x, &scale, &shift, None, Activation::Identity, EPS).unwrap();
    assert_eq!(elements(&y), vec![elements(&shift)[0]; 8]);
    assert_eq!(elements(&found.variance), [0.0]);
    let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    assert!(wide(grads.get(&x).unwrap()).iter().all(|g| g.abs() < 1e-3));
}

#[test]
fn no_gradient_that_nobody_asks_for() {
    let (x, scale, shift) = (var(&[2, 3, 4, 4], 1), var(&[3], 2), var(&[3], 3));
    let given = Tensor::ones(3, candle_core::DType::F32, &Device::Cpu).unwrap();
    let fixed = |tensor: &Tensor| tensor.detach();
    let y = batch_norm_eval(
        &x,
        &fixed(&scale),
        &fixed(&shift),
        fixed_at(&given, &given),
        None,
        Activation::Relu,
    )
    .unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&x).is_some() && grads.get(&scale).is_none());
    let (y, _) = batch_norm_train(&fixed(&x), &scale, &shift, None, Activation::Relu, EPS).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&x).is_none() && grads.get(&scale).is_some() && grads.get(&shift).is_some());
    let (y, _) =
        batch_norm_train(&fixed(&x), &fixed(&scale), &fixed(&shift), None, Activation::Relu, EPS)
            .unwrap();
    assert!(!y.track_op());
}

#[test]
fn threads_do_not_change_a_bit() {
    same_for_any_threads(|| {
        let (x, scale, shift) = (var(&[9, 5, 7, 3], 1), var(&[5], 2), var(&[5], 3));
        let (y, found) = batch_norm_train(&x, &scale, &shift, None, Activation::Elu, EPS).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        vec![
            y,
            found.mean,
            found.variance,
            grads.get(&x).unwrap().clone(),
            grads.get(&scale).unwrap().clone(),
        ]
    });
}

#[test]
fn wrong_arguments_are_errors() {
    let (x, two, three) = (var(&[2, 3, 4, 4], 1), var(&[2], 2), var(&[3], 3));
    let error =
        batch_norm_train(&x, &two, &three, None, Activation::Relu, EPS).unwrap_err().to_string();
    assert!(error.contains("scale has shape [2], expected [3]"), "{error}");
    let error = batch_norm_train(&three, &three, &three, None, Activation::Relu, EPS)
        .unwrap_err()
        .to_string();
    assert!(error.contains("[batch, channels, height, width]"), "{error}");
    let error = batch_norm_train(&x, &three, &three, Some(&three), Activation::Relu, EPS)
        .unwrap_err()
        .to_string();
    assert!(error.contains("residual has shape [3]"), "{error}");
    let error =
        batch_norm_train(&x, &three, &three, None, Activation::Relu, 0.0).unwrap_err().to_string();
    assert!(error.contains("eps is 0"), "{error}");
}
