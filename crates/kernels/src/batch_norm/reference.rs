//! The definition, in f64.

use super::Activation;
use super::tests::EPS;

fn activate(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::Identity => z,
        Activation::Relu => z.max(0.0),
        Activation::Elu => {
            if z > 0.0 {
                z
            } else {
                z.exp() - 1.0
            }
        }
    }
}

/// The definition, in f64; given statistics replace the batch's own.
pub(super) fn reference(
    dims: [usize; 4],
    x: &[f64],
    scale: &[f64],
    shift: &[f64],
    residual: &[f64],
    activation: Activation,
    given: Option<(&[f64], &[f64])>,
) -> Vec<f64> {
    let [batch, channels, height, width] = dims;
    let area = height * width;
    let mut y = vec![0.0; x.len()];
    for channel in 0..channels {
        let indices: Vec<usize> = (0..batch)
            .flat_map(|n| (0..area).map(move |p| (n * channels + channel) * area + p))
            .collect();
        let count = indices.len() as f64;
        let (mean, variance) = match given {
            Some((mean, variance)) => (mean[channel], variance[channel]),
            None => {
                let mean = indices.iter().map(|i| x[*i]).sum::<f64>() / count;
                (mean, indices.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f64>() / count)
            }
        };
        for i in indices {
            let z = (x[i] - mean) / (variance + EPS).sqrt() * scale[channel]
                + shift[channel]
                + residual[i];
            y[i] = activate(activation, z);
        }
    }
    y
}
