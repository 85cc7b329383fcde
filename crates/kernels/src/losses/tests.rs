use super::*;
use crate::testing::{close, numeric_gradient, scattered, var, wide};
use candle_core::{Device, Var};

fn atanh_loss(scale: f64, s: &[f64], t: &[f64]) -> f64 {
    let atanh = |x: f64| 0.5 * ((1.0 + x) / (1.0 - x)).ln();
    scale * s.iter().zip(t).map(|(s, t)| (atanh(*s) - atanh(*t)).powi(2)).sum::<f64>()
        / s.len() as f64
}

#[test]
fn arctanh_loss_equals_its_definition() {
    for (pairs, scale) in [(1, 1.0), (7, 4.0), (65, 20.0)] {
        let (s, t) = (var(&[pairs], 1), var(&[pairs], 2).as_tensor().detach());
        let loss = arctanh_squared_loss(&s, &t, scale).unwrap();
        let (s64, t64) = (wide(&s), wide(&t));
        close(&loss, &[atanh_loss(scale, &s64, &t64)], 1e-6);
        let grads = loss.backward().unwrap();
        close(
            grads.get(&s).unwrap(),
            &numeric_gradient(&s64, |s| atanh_loss(scale, s, &t64)),
            1e-5,
        );
    }
}

#[test]
fn similarities_at_the_ends_stay_finite_and_have_no_gradient() {
    let s = Var::from_slice(&[1.0f32, -1.0, 0.5], 3, &Device::Cpu).unwrap();
    let t = Tensor::from_slice(&[0.0f32, 0.0, 1.0], 3, &Device::Cpu).unwrap();
    let loss = arctanh_squared_loss(&s, &t, 1.0).unwrap();
    assert!(wide(&loss)[0].is_finite());
    let gradient = wide(loss.backward().unwrap().get(&s).unwrap());
    assert!(gradient[0] == 0.0 && gradient[1] == 0.0 && gradient[2] < 0.0, "{gradient:?}");
}

fn entropy(classes: usize, logits: &[f64], labels: &[u32]) -> f64 {
    let rows = logits.chunks(classes).zip(labels);
    rows.map(|(row, label)| row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[*label as usize])
        .sum::<f64>()
        / labels.len() as f64
}

#[test]
fn cross_entropy_equals_its_definition() {
    for (batch, classes) in [(1, 2), (5, 10), (65, 3)] {
        let logits = var(&[batch, classes], 1);
        let labels: Vec<u32> = (0..batch as u32).map(|index| index % classes as u32).collect();
        let loss =
            cross_entropy(&logits, &Tensor::new(labels.clone(), &Device::Cpu).unwrap()).unwrap();
        let wide_logits = wide(&logits);
        close(&loss, &[entropy(classes, &wide_logits, &labels)], 1e-6);
        let grads = loss.backward().unwrap();
        close(
            grads.get(&logits).unwrap(),
            &numeric_gradient(&wide_logits, |x| entropy(classes, x, &labels)),
            1e-6,
        );
    }
}

#[test]
fn views_are_read_as_they_stand() {
    let (logits, labels) =
        (var(&[4, 3], 1), Tensor::new(&[[0u32, 9], [2, 9], [1, 9], [2, 9]], &Device::Cpu).unwrap());
    let labels = labels.narrow(1, 0, 1).unwrap().squeeze(1).unwrap();
    assert!(!labels.is_contiguous());
    let found = cross_entropy(&scattered(&logits), &labels).unwrap();
    close(&found, &[entropy(3, &wide(&logits), &[0, 2, 1, 2])], 1e-6);
    let columns = var(&[4, 3], 2);
    let column = |index: usize| columns.narrow(1, index, 1).unwrap().squeeze(1).unwrap();
    let loss = arctanh_squared_loss(&column(0), &column(1), 2.0).unwrap();
    close(&loss, &[atanh_loss(2.0, &wide(&column(0)), &wide(&column(1)))], 1e-6);
}

#[test]
fn what_is_not_a_number_shows() {
    let labels = Tensor::new(&[0u32], &Device::Cpu).unwrap();
    let logits = Tensor::new(&[[f32::NAN, 1.0]], &Device::Cpu).unwrap();
    assert!(wide(&cross_entropy(&logits, &labels).unwrap())[0].is_nan());
    let (s, t) = (
        Tensor::new(&[f32::NAN], &Device::Cpu).unwrap(),
        Tensor::new(&[0f32], &Device::Cpu).unwrap(),
    );
    assert!(wide(&arctanh_squared_loss(&s, &t, 1.0).unwrap())[0].is_nan());
}

#[test]
fn huge_logits_do_not_overflow() {
    let logits = Var::from_slice(&[1e4f32, -1e4], (1, 2), &Device::Cpu).unwrap();
    let loss = cross_entropy(&logits, &Tensor::new(&[1u32], &Device::Cpu).unwrap()).unwrap();
    close(&loss, &[2e4], 1e-6);
}

#[test]
fn wrong_arguments_are_errors() {
    let labels = Tensor::new(&[3u32], &Device::Cpu).unwrap();
    let error = cross_entropy(&var(&[1, 3], 1), &labels).unwrap_err().to_string();
    assert!(error.contains("a label is 3, expected below 3"), "{error}");
    let error = cross_entropy(&var(&[2, 3], 1), &labels).unwrap_err().to_string();
    assert!(error.contains("labels has shape [1], expected [2]"), "{error}");
    let error = cross_entropy(&var(&[1, 3], 1), &var(&[1], 1)).unwrap_err().to_string();
    assert!(error.contains("labels holds F32, expected U32"), "{error}");
    let error = arctanh_squared_loss(&var(&[2], 1), &var(&[3], 1), 1.0).unwrap_err().to_string();
    assert!(error.contains("target has shape [3]"), "{error}");
}
