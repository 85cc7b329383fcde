use super::*;
use candle_core::{Device, Var};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn close(found: &Tensor, expected: &[f64], terms: usize) {
    let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(found.len(), expected.len());
    let tolerance = 1e-6 * (terms as f64).sqrt().max(1.0) * 4.0;
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() <= tolerance, "element {index}: {found} against {expected}");
    }
}

fn check(x: [usize; 4], w: [usize; 4], g: Conv2dGeometry) {
    let (xs, ws) = (values(x.iter().product(), 1), values(w.iter().product(), 2));
    let x_var = Var::from_vec(xs.clone(), &x, &Device::Cpu).unwrap();
    let w_var = Var::from_vec(ws.clone(), &w, &Device::Cpu).unwrap();
    let y = conv2d(&x_var, &w_var, g).unwrap();
    let gs = values(y.elem_count(), 3);
    let upstream = Tensor::from_vec(gs.clone(), y.dims(), &Device::Cpu).unwrap();
    let grads = (&y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
    let (mut out, mut gx, mut gw) = (vec![0.0; gs.len()], vec![0.0; xs.len()], vec![0.0; ws.len()]);
    let shape = reference::terms(x, w, g, |o, i, k| {
        out[o] += f64::from(xs[i]) * f64::from(ws[k]);
        gx[i] += f64::from(gs[o]) * f64::from(ws[k]);
        gw[k] += f64::from(gs[o]) * f64::from(xs[i]);
    });
    assert_eq!(y.dims(), shape);
    close(&y, &out, w[1] * w[2] * w[3]);
    close(grads.get(&x_var).unwrap(), &gx, w[0] * w[2] * w[3]);
    close(grads.get(&w_var).unwrap(), &gw, shape[0] * shape[2] * shape[3]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn equals_the_reference(
        batch in 1usize..6, groups in 1usize..4, cin in 1usize..5, cout in 1usize..6, h in 1usize..20, w in 1usize..20,
        kh in 1usize..6, kw in 1usize..6, stride in 1usize..4, padding in 0usize..5, dilation in 1usize..3,
    ) {
        prop_assume!(h + 2 * padding > dilation * (kh - 1) && w + 2 * padding > dilation * (kw - 1));
        check([batch, cin * groups, h, w], [cout * groups, cin, kh, kw], Conv2dGeometry { stride, padding, dilation, groups });
    }
}

#[test]
fn large_batches_and_many_tiles() {
    check([65, 3, 9, 7], [4, 3, 3, 3], Conv2dGeometry { padding: 1, ..Default::default() });
    check([2, 16, 36, 64], [8, 16, 5, 5], Conv2dGeometry { padding: 2, ..Default::default() });
    check([3, 1, 36, 64], [8, 1, 13, 13], Conv2dGeometry { padding: 6, stride: 2, ..Default::default() });
    check([2, 6, 12, 12], [6, 1, 3, 3], Conv2dGeometry { padding: 1, groups: 6, ..Default::default() });
}

#[test]
fn views_are_read_as_they_stand() {
    let whole = Tensor::from_vec(values(2 * 4 * 6 * 8, 5), (2, 4, 6, 8), &Device::Cpu).unwrap();
    let weight = Tensor::from_vec(values(3 * 2 * 3 * 3, 6), (3, 2, 3, 3), &Device::Cpu).unwrap();
    let view = whole.narrow(1, 1, 2).unwrap().transpose(2, 3).unwrap();
    let copy = view.copy().unwrap().contiguous().unwrap();
    let result =
        |x: &Tensor| conv2d(x, &weight, Conv2dGeometry::default()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(result(&view), result(&copy));
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let x = Var::from_vec(values(33 * 5 * 15 * 17, 1), (33, 5, 15, 17), &Device::Cpu).unwrap();
            let w = Var::from_vec(values(7 * 5 * 9, 2), (7, 5, 3, 3), &Device::Cpu).unwrap();
            let y = conv2d(&x, &w, Conv2dGeometry { stride: 2, padding: 1, ..Default::default() }).unwrap();
            let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let bits =
                |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            (bits(&y), bits(grads.get(&x).unwrap()), bits(grads.get(&w).unwrap()))
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn no_gradient_that_nobody_asks_for() {
    let x = Tensor::from_vec(values(50, 1), (1, 2, 5, 5), &Device::Cpu).unwrap();
    let w = Var::from_vec(values(18, 2), (1, 2, 3, 3), &Device::Cpu).unwrap();
    let grads = conv2d(&x, &w, Conv2dGeometry::default()).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&w).is_some() && grads.get(&x).is_none());
}

#[test]
fn wrong_arguments_are_errors_that_say_what_fits() {
    let tensor = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    #[track_caller]
    fn fails(x: &Tensor, w: &Tensor, g: Conv2dGeometry, part: &str) {
        let error = conv2d(x, w, g).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let plain = Conv2dGeometry::default();
    fails(&tensor(&[2, 3, 4]), &tensor(&[1, 3, 1, 1]), plain, "expected [batch, channels, height, width]");
    fails(&tensor(&[2, 3, 4, 4]), &tensor(&[1, 2, 1, 1]), plain, "expected 2 channels (from weight)");
    fails(&tensor(&[0, 3, 4, 4]), &tensor(&[1, 3, 1, 1]), plain, "x has shape [0, 3, 4, 4], expected at least 1");
    fails(&tensor(&[1, 3, 4, 4]), &tensor(&[1, 3, 5, 5]), plain, "kernels within 4 x 4");
    fails(&tensor(&[1, 3, 4, 4]), &tensor(&[1, 3, 1, 1]), Conv2dGeometry { stride: 0, ..plain }, "stride is 0");
    fails(
        &tensor(&[1, 3, 4, 4]),
        &tensor(&[1, 3, 1, 1]),
        Conv2dGeometry { padding: usize::MAX / 4, ..plain },
        "can be addressed",
    );
    let half = tensor(&[1, 3, 4, 4]).to_dtype(candle_core::DType::F16).unwrap();
    fails(&half, &tensor(&[1, 3, 1, 1]), plain, "x holds F16, expected F32");
}
