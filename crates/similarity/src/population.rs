//! Population vectors: weighted, centred over images, of length one.

use crate::{Error, Result};
use brainprior_images::ImageId;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Neurons whose means are summed together. Fixed, so that sums do not depend on the number of threads.
const COLUMNS: usize = 256;

/// Sums that run side by side over one vector, which a vector unit adds at once in an order that is ours.
const LANES: usize = 8;

/// Unit vectors `[images, kept neurons]`, row-major; neurons of weight 0 are left out.
pub(crate) struct UnitVectors {
    pub(crate) values: Vec<f32>,
    pub(crate) width: usize,
}

/// e_i = (w r_i - mean_j w r_j) / |...| (section 3.1 of the paper); arithmetic in f64, rounded once.
/// Values of neurons that have weight 0 are not looked at.
pub(crate) fn unit_vectors(ids: &[ImageId], values: ArrayView2<f32>, weights: &[f32], source_name: &str) -> Result<UnitVectors> {
    let (images, neurons) = values.dim();
    check_sizes(ids.len(), images, neurons, weights)?;
    let kept: Vec<usize> = (0..neurons).filter(|neuron| weights[*neuron] > 0.0).collect();
    if kept.is_empty() {
        return Err(Error::NoNeurons { neurons });
    }
    let values = values.as_standard_layout();
    let values = values.as_slice().expect("a standard layout is contiguous");
    let all = kept.len() == neurons;
    let means: Vec<f64> = kept
        .par_chunks(COLUMNS)
        .flat_map_iter(|columns| {
            let mut sums = vec![0.0f64; columns.len()];
            for row in values.chunks_exact(neurons) {
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum += f64::from(row[*column]);
                }
            }
            sums.into_iter().map(|sum| sum / images as f64)
        })
        .collect();
    // A sum is finite only where all its terms are.
    if let Some(column) = means.iter().position(|mean| !mean.is_finite()) {
        let neuron = kept[column];
        let image = (0..images).find(|image| !values[image * neurons + neuron].is_finite()).expect("a term that is not finite");
        return Err(Error::Value { image, id: ids[image], neuron, found: values[image * neurons + neuron] });
    }
    let weights: Vec<f64> = kept.iter().map(|neuron| f64::from(weights[*neuron])).collect();

    let width = kept.len();
    let mut unit = vec![0.0f32; images * width];
    let zero = unit.par_chunks_mut(width).zip(values.par_chunks(neurons)).enumerate().find_map_first(|(image, (unit, row))| {
        let mut compact = Vec::new();
        let row = if all {
            row
        } else {
            compact.extend(kept.iter().map(|neuron| row[*neuron]));
            &compact
        };
        (!normalise(row, &means, &weights, unit)).then_some(image)
    });
    match zero {
        Some(image) => Err(Error::ZeroVector { image, id: ids[image], source_name: source_name.into() }),
        None => Ok(UnitVectors { values: unit, width }),
    }
}

fn check_sizes(ids: usize, images: usize, neurons: usize, weights: &[f32]) -> Result<()> {
    if ids != images {
        return Err(Error::Size { what: "rows of the responses", expected: format!("{ids} images"), found: images.to_string() });
    }
    if weights.len() != neurons {
        return Err(Error::Size {
            what: "weights",
            expected: format!("one for each of {neurons} neurons"),
            found: weights.len().to_string(),
        });
    }
    match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(neuron) => Err(Error::Weight { neuron, expected: "a finite weight of at least 0", found: weights[neuron] }),
        None => Ok(()),
    }
}

/// Whether the centred vector has a direction: a norm above what rounding leaves of equal responses.
fn normalise(row: &[f32], means: &[f64], weights: &[f64], unit: &mut [f32]) -> bool {
    let (mut centred, mut raw) = ([0.0f64; LANES], [0.0f64; LANES]);
    let mut add = |lane: usize, value: f32, mean: f64, weight: f64| {
        let value = f64::from(value);
        centred[lane] += (weight * (value - mean)).powi(2);
        raw[lane] += (weight * value).powi(2);
    };
    let ((rows, row_rest), (mean, mean_rest), (weight, weight_rest)) =
        (row.as_chunks::<LANES>(), means.as_chunks::<LANES>(), weights.as_chunks::<LANES>());
    for ((row, mean), weight) in rows.iter().zip(mean).zip(weight) {
        for lane in 0..LANES {
            add(lane, row[lane], mean[lane], weight[lane]);
        }
    }
    for (lane, ((value, mean), weight)) in row_rest.iter().zip(mean_rest).zip(weight_rest).enumerate() {
        add(lane, *value, *mean, *weight);
    }
    let (centred, raw) = (centred.iter().sum::<f64>().sqrt(), raw.iter().sum::<f64>().sqrt());
    if centred <= raw * f64::from(f32::EPSILON) {
        return false;
    }
    let inverse = 1.0 / centred;
    for (((unit, value), mean), weight) in unit.iter_mut().zip(row).zip(means).zip(weights) {
        *unit = (weight * (f64::from(*value) - mean) * inverse) as f32;
    }
    true
}
