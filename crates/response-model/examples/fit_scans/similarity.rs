//! What similarities are compared by.

use brainprior_recording::Responses;
use ndarray::{Array2, Axis};

/// Cosine similarities of the images' population vectors, each neuron divided by `std`, weighted and centred over the images.
pub fn similarity(responses: &Responses, std: &[f32], weights: &[f64]) -> Vec<f64> {
    let mut r: Array2<f64> = responses.values().mapv(f64::from);
    for ((mut column, std), weight) in r.columns_mut().into_iter().zip(std).zip(weights) {
        let mean = column.sum() / column.len() as f64;
        column.mapv_inplace(|v| (v - mean) / f64::from(*std) * weight);
    }
    for mut row in r.axis_iter_mut(Axis(0)) {
        let norm = row.dot(&row).sqrt();
        row /= norm;
    }
    let gram = r.dot(&r.t());
    (0..r.nrows()).flat_map(|i| (i + 1..r.nrows()).map(move |j| (i, j))).map(|pair| gram[pair]).collect()
}

/// Correlation.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
        ab += (x - ma) * (y - mb);
    }
    ab / (aa * bb).sqrt()
}

/// The median; of an even number of values the upper of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
