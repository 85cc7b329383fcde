//! The definition, in f64.

use super::cpu::PointReadout;

/// Bilinear interpolation as a weighted mean over all pixels, then the linear map, in f64.
pub(super) fn reference(
    op: &PointReadout,
    features: &[f64],
    positions: &[f64],
    weights: &[f64],
) -> Vec<f64> {
    let hat = |pixel: f64, at: usize| (1.0 - (pixel - at as f64).abs()).max(0.0);
    let mut output = Vec::new();
    for image in 0..op.batch {
        for neuron in 0..op.neurons {
            let at = |axis: usize, size: usize| {
                let position = positions[(image * op.neurons + neuron) * 2 + axis];
                (((position + 1.0) * size as f64 - 1.0) / 2.0).clamp(0.0, (size - 1) as f64)
            };
            let (px, py) = (at(0, op.grid.width), at(1, op.grid.height));
            let mut value = 0.0;
            for channel in 0..op.channels {
                for y in 0..op.grid.height {
                    for x in 0..op.grid.width {
                        let feature = features[((image * op.channels + channel) * op.grid.height
                            + y)
                            * op.grid.width
                            + x];
                        value += weights[neuron * op.channels + channel]
                            * feature
                            * hat(py, y)
                            * hat(px, x);
                    }
                }
            }
            output.push(value);
        }
    }
    output
}
