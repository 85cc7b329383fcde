//! What each neuron counts in a population vector.

use crate::{Error, Result};
use brainprior_recording::{Reliability, Scan, Tier};

/// Share of the mean standard deviation below which a neuron is divided by that share instead of its own.
const LEAST_DEVIATION_SHARE: f64 = 0.01;

/// Weights of one scan's neurons, responses being divided by each neuron's standard deviation over the training tier.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanWeights {
    /// 1 over the standard deviation: equal weights.
    pub equal: Vec<f32>,
    /// w over the standard deviation, for measured responses.
    pub measured: Vec<f32>,
    /// w v over the standard deviation, for predicted responses.
    pub predicted: Vec<f32>,
}

impl ScanWeights {
    /// From the reliability of the scan's neurons and `v`, the correlation of each neuron's predicted and measured responses.
    ///
    /// # Errors
    /// A scan without trials of tier `train`; numbers of neurons that differ; a correlation that is NaN.
    pub fn new(scan: &Scan, reliability: &Reliability, v: &[f32]) -> Result<Self> {
        let equal = standardizing_weights(scan)?;
        Ok(Self {
            measured: product_of_weights(&measured_weights(reliability), &equal)?,
            predicted: product_of_weights(&predicted_weights(reliability, v)?, &equal)?,
            equal,
        })
    }
}

/// For measured responses: w_a, the signal-to-noise ratio of each neuron (section 3.1 of the paper). A neuron without
/// one, excluded from the reliability, has weight 0.
pub fn measured_weights(reliability: &Reliability) -> Vec<f32> {
    reliability.w.iter().map(|w| w.unwrap_or(0.0)).collect()
}

/// For predicted responses: w_a v_a, with v_a the correlation of predicted and measured responses (section 3.1 of the
/// paper). Where v_a is not above 0 the model knows nothing of the neuron, which then has weight 0.
///
/// # Errors
/// Different numbers of neurons; a correlation that is not a number.
pub fn predicted_weights(reliability: &Reliability, v: &[f32]) -> Result<Vec<f32>> {
    if let Some(neuron) = v.iter().position(|v| v.is_nan()) {
        return Err(Error::Weight { neuron, expected: "a correlation of predicted and measured responses", found: v[neuron] });
    }
    let positive: Vec<f32> = v.iter().map(|v| v.max(0.0)).collect();
    product_of_weights(&measured_weights(reliability), &positive)
}

/// For responses in the units of the file: one over the standard deviation of each neuron over the trials of tier
/// `train`, so that neurons count alike whatever their units. A neuron that hardly ever responds is divided by a hundredth of the mean
/// standard deviation over neurons instead, as the response model and the lab's loaders do, so that its few responses do not
/// outweigh all others; one that never varies there has weight 0.
///
/// # Errors
/// A scan without trials of that tier.
pub fn standardizing_weights(scan: &Scan) -> Result<Vec<f32>> {
    let trials = scan.trials_in(Tier::Train);
    if trials.is_empty() {
        return Err(Error::Size { what: "trials of tier `train`", expected: "at least 1".into(), found: "none".into() });
    }
    let count = trials.len() as f64;
    let responses = scan.responses();
    let deviation = |neuron: usize| {
        let values = || trials.iter().map(|trial| f64::from(responses[[*trial, neuron]]));
        let mean = values().sum::<f64>() / count;
        let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        if deviation > mean.abs() * f64::from(f32::EPSILON) { deviation } else { 0.0 }
    };
    let deviations: Vec<f64> = (0..responses.ncols()).map(deviation).collect();
    let least = LEAST_DEVIATION_SHARE * deviations.iter().sum::<f64>() / deviations.len() as f64;
    let weight = |deviation: f64| if deviation > 0.0 { (1.0 / deviation.max(least)) as f32 } else { 0.0 };
    Ok(deviations.into_iter().map(weight).collect())
}

/// Two weightings at once, as of standardised responses times w_a.
///
/// # Errors
/// Different lengths, or a product that is negative or not finite.
pub fn product_of_weights(first: &[f32], second: &[f32]) -> Result<Vec<f32>> {
    if first.len() != second.len() {
        return Err(Error::Size {
            what: "weights of the same neurons",
            expected: first.len().to_string(),
            found: second.len().to_string(),
        });
    }
    let product: Vec<f32> = first.iter().zip(second).map(|(a, b)| a * b).collect();
    match product.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(neuron) => Err(Error::Weight { neuron, expected: "a finite weight of at least 0", found: product[neuron] }),
        None => Ok(product),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_images::StimulusSet;
    use brainprior_recording::{Neurons, Origin, ScanParts};

    fn reliability(w: &[Option<f32>]) -> Reliability {
        let none = vec![None; w.len()];
        Reliability {
            w: w.to_vec(),
            oracle_jackknife: none.clone(),
            oracle_conservative: none.clone(),
            explainable_variance: none.clone(),
            snr: none,
            excluded: w.iter().filter(|w| w.is_none()).count(),
            images: 2,
            trials: 4,
        }
    }

    #[test]
    fn a_neuron_that_hardly_ever_responds_is_divided_by_a_hundredth_of_the_mean_deviation() {
        // Standard deviations 2, 4, 0.0005 and 0 over four trials: the mean is 1.500125.
        let rows = [[4.0, 8.0, 0.001, 3.0], [0.0, 0.0, 0.0, 3.0], [4.0, 8.0, 0.001, 3.0], [0.0, 0.0, 0.0, 3.0]];
        let weights = standardizing_weights(&scan(&rows)).unwrap();
        assert_eq!(weights, [0.5, 0.25, (1.0 / 0.015_001_25f64) as f32, 0.0]);
    }

    fn scan(rows: &[[f32; 4]]) -> Scan {
        let pixels = (0..rows.len()).map(|row| row as f32 / 8.0).collect();
        Scan::new(ScanParts {
            name: "small".into(),
            stimuli: StimulusSet::new(1, 1, pixels).unwrap(),
            image_labels: None,
            trial_image: (0..rows.len()).collect(),
            tiers: vec![Tier::Train; rows.len()],
            responses: rows
                .iter()
                .flatten()
                .copied()
                .collect::<ndarray::Array1<f32>>()
                .into_shape_with_order((rows.len(), 4))
                .unwrap(),
            behavior: None,
            pupil_center: None,
            neurons: Neurons::unnamed(4),
            trial_idx: None,
            origin: Origin::default(),
        })
        .unwrap()
    }

    #[test]
    fn excluded_and_unpredicted_neurons_have_no_weight() {
        let known = reliability(&[Some(2.0), None, Some(0.5), Some(1.0)]);
        assert_eq!(measured_weights(&known), [2.0, 0.0, 0.5, 1.0]);
        assert_eq!(predicted_weights(&known, &[0.5, 0.9, -0.3, 0.0]).unwrap(), [1.0, 0.0, 0.0, 0.0]);
        assert!(matches!(predicted_weights(&known, &[0.5; 3]), Err(Error::Size { .. })));
        assert!(matches!(predicted_weights(&known, &[0.5, f32::NAN, 0.0, 0.0]), Err(Error::Weight { neuron: 1, .. })));
        assert!(matches!(product_of_weights(&[1.0, 1.0], &[1.0, f32::INFINITY]), Err(Error::Weight { neuron: 1, .. })));
    }
}
