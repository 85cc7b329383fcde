use super::reference::reference;
use super::*;
use crate::testing::{close, numeric_gradient, same_for_any_threads, scattered, values, var, wide};
use candle_core::Device;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn equals_the_cosine_and_its_finite_differences(pairs in 1usize..5, channels in 1usize..4, h in 1usize..6, w in 2usize..6) {
        let (features, center) = (var(&[2 * pairs, channels, h, w], 1), var(&[channels], 2));
        let y = pair_cosine(&features, &center).unwrap();
        let (f, c) = (wide(&features), wide(&center));
        close(&y, &reference(pairs, h * w, &c, &f), 2e-6);
        let upstream = Tensor::from_vec(values(pairs, 3), pairs, &Device::Cpu).unwrap();
        let grads = (&y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
        let up = wide(&upstream);
        let expected = numeric_gradient(&f, |f| reference(pairs, h * w, &c, f).iter().zip(&up).map(|(y, g)| y * g).sum());
        close(grads.get(&features).unwrap(), &expected, 1e-4);
        prop_assert!(grads.get(&center).is_none());
    }
}

#[test]
fn an_image_is_like_itself_and_unlike_its_opposite() {
    let x = var(&[1, 2, 4, 4], 1);
    let zero = Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu).unwrap();
    let cosine = |other: &Tensor| {
        wide(&pair_cosine(&Tensor::cat(&[x.as_tensor(), other], 0).unwrap(), &zero).unwrap())[0]
    };
    assert!((cosine(&x) - 1.0).abs() < 1e-6);
    assert!((cosine(&x.neg().unwrap()) + 1.0).abs() < 1e-6);
    assert_eq!(cosine(&x.zeros_like().unwrap()), 0.0);
}

#[test]
fn features_that_are_all_at_the_center_have_no_direction_and_no_gradient() {
    let mut values = values(4 * 8, 1);
    values[..8].fill(0.25);
    let x = candle_core::Var::from_vec(values, (4, 1, 2, 4), &Device::Cpu).unwrap();
    let y = pair_cosine(&x, &Tensor::from_slice(&[0.25f32], 1, &Device::Cpu).unwrap()).unwrap();
    assert_eq!(wide(&y)[0], 0.0);
    let gradient = wide(y.sum_all().unwrap().backward().unwrap().get(&x).unwrap());
    assert!(gradient[..8].iter().chain(&gradient[16..24]).all(|g| *g == 0.0));
    assert!(gradient[8..16].iter().chain(&gradient[24..]).all(|g| *g != 0.0));
}

#[test]
fn scales_cancel_and_what_is_not_a_number_shows() {
    let (x, center) =
        (var(&[4, 2, 3, 3], 1), Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu).unwrap());
    let expected = wide(&pair_cosine(&x, &center).unwrap());
    for factor in [1e-6, 1e6] {
        close(&pair_cosine(&x.affine(factor, 0.0).unwrap(), &center).unwrap(), &expected, 1e-6);
    }
    assert!(
        wide(&pair_cosine(&x.affine(f64::NAN, 0.0).unwrap(), &center).unwrap())
            .iter()
            .all(|y| y.is_nan())
    );
}

#[test]
fn views_are_read_as_they_stand() {
    let (x, center) = (var(&[4, 2, 3, 5], 1), var(&[2], 2));
    let (y, z) = (pair_cosine(&x, &center).unwrap(), pair_cosine(&scattered(&x), &center).unwrap());
    assert_eq!(wide(&y), wide(&z));
    let gradients = [y, z].map(|y| wide(y.sum_all().unwrap().backward().unwrap().get(&x).unwrap()));
    assert_eq!(gradients[0], gradients[1]);
}

#[test]
fn threads_do_not_change_a_bit() {
    same_for_any_threads(|| {
        let (x, center) = (var(&[14, 3, 9, 11], 1), var(&[3], 2));
        let y = pair_cosine(&x, &center).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        vec![y, grads.get(&x).unwrap().clone()]
    });
}

#[test]
fn wrong_arguments_are_errors() {
    let error = pair_cosine(&var(&[3, 2, 2, 2], 1), &var(&[2], 1)).unwrap_err().to_string();
    assert!(error.contains("an even number of images"), "{error}");
    let error = pair_cosine(&var(&[4, 2, 2, 2], 1), &var(&[3], 1)).unwrap_err().to_string();
    assert!(error.contains("center has shape [3], expected [2]"), "{error}");
}
