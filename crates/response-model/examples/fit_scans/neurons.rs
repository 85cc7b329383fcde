//! Predictions and truth neuron by neuron.

use brainprior_recording::Responses;
use brainprior_recording::simulation::Truth;

/// The neurons that respond to images.
pub(crate) fn responsive(truth: &Truth) -> Vec<usize> {
    (0..truth.neurons().len()).filter(|n| truth.neurons()[*n].responsive).collect()
}

/// Responses of one neuron.
pub(crate) fn of(responses: &Responses, neuron: usize) -> Vec<f64> {
    responses.values().column(neuron).iter().map(|v| f64::from(*v)).collect()
}

/// Pearson correlation over images.
pub(crate) fn correlation(a: &[f64], b: &[f64]) -> f64 {
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

/// The median of a figure over neurons; of an even number of values the upper of the two in the middle.
pub(crate) fn median(neurons: &[usize], figure: impl Fn(usize) -> f64) -> f64 {
    let mut values: Vec<f64> = neurons.iter().map(|n| figure(*n)).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
