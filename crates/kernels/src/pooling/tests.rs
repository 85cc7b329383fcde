use super::reference::reference;
use super::*;
use crate::testing::{
    close, elements, numeric_gradient, same_for_any_threads, scattered, values, var, wide,
};
use candle_core::Device;
use proptest::prelude::*;

proptest! {
    #[test]
    fn means_over_windows(batch in 1usize..4, channels in 1usize..4, h in 1usize..10, w in 1usize..10, kernel in 1usize..5, stride in 1usize..4, area: bool) {
        prop_assume!(area || kernel <= h.min(w));
        let stride = if area { kernel } else { stride };
        let x = var(&[batch, channels, h, w], 1);
        let y = if area { area_pool(&x, kernel).unwrap() } else { average_pool(&x, kernel, stride).unwrap() };
        let f = |x: &[f64]| reference(batch * channels, (h, w), kernel, stride, area, x);
        close(&y, &f(&wide(&x)), 1e-6);
        let upstream = Tensor::from_vec(values(y.elem_count(), 2), y.dims(), &Device::Cpu).unwrap();
        let grads = (&y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
        let up = wide(&upstream);
        close(grads.get(&x).unwrap(), &numeric_gradient(&wide(&x), |x| f(x).iter().zip(&up).map(|(y, g)| y * g).sum()), 1e-5);
    }
}

#[test]
fn partial_blocks_average_what_exists() {
    let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0], (1, 1, 1, 5), &Device::Cpu).unwrap();
    assert_eq!(elements(&area_pool(&x, 2).unwrap()), [1.5, 3.5, 5.0]);
}

#[test]
fn views_many_planes_and_blocks_larger_than_the_image() {
    let x = var(&[5, 7, 4, 6], 1);
    for factor in [2, 3, 100, usize::MAX] {
        let y = area_pool(&x, factor).unwrap();
        assert_eq!(elements(&area_pool(&scattered(&x), factor).unwrap()), elements(&y));
        assert_eq!(y.dims(), [5, 7, 4usize.div_ceil(factor), 6usize.div_ceil(factor)]);
    }
    close(&area_pool(&x, usize::MAX).unwrap(), &reference(35, (4, 6), 6, 6, true, &wide(&x)), 1e-6);
    close(
        &average_pool(&x, 3, usize::MAX).unwrap(),
        &reference(35, (4, 6), 3, 100, false, &wide(&x)),
        1e-6,
    );
    let many = var(&[3, 1001, 3, 4], 2);
    close(&area_pool(&many, 2).unwrap(), &reference(3003, (3, 4), 2, 2, true, &wide(&many)), 1e-6);
    same_for_any_threads(|| {
        let x = &many;
        let y = area_pool(x, 2).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        vec![y, grads.get(x).unwrap().clone()]
    });
}

#[test]
fn wrong_arguments_are_errors() {
    let x = var(&[1, 1, 3, 3], 1);
    assert!(area_pool(&x, 0).unwrap_err().to_string().contains("factor is 0"));
    assert!(
        average_pool(&x, 4, 1)
            .unwrap_err()
            .to_string()
            .contains("kernel is 4, expected at most the image, 3 x 3")
    );
    assert!(
        area_pool(&var(&[3], 1), 2)
            .unwrap_err()
            .to_string()
            .contains("[batch, channels, height, width]")
    );
}
