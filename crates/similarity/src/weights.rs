//! What each neuron counts in a population vector.

use crate::{Error, Result};
use brainprior_recording::{Scan, Tier};

/// Weight 1 for each of `neurons`.
pub fn equal(neurons: usize) -> Vec<f32> {
    vec![1.0; neurons]
}

/// For measured responses: w_a, the signal-to-noise ratio of each neuron (section 3.1 of the paper). A neuron without
/// one, excluded from the reliability, has weight 0.
///
/// # Errors
/// A ratio that is negative or not finite.
pub fn measured(w: &[Option<f32>]) -> Result<Vec<f32>> {
    w.iter().map(|w| w.unwrap_or(0.0)).enumerate().map(|(neuron, w)| checked(neuron, w)).collect()
}

/// For predicted responses: w_a v_a, with v_a the correlation of predicted and measured responses (section 3.1 of the
/// paper). Where v_a is not above 0 the model knows nothing of the neuron, which then has weight 0.
///
/// # Errors
/// Different lengths; a ratio that is negative or not finite; a correlation that is not a number.
pub fn predicted(w: &[Option<f32>], v: &[f32]) -> Result<Vec<f32>> {
    if let Some(neuron) = v.iter().position(|v| v.is_nan()) {
        return Err(Error::Weight { neuron, expected: "a correlation of predicted and measured responses", found: v[neuron] });
    }
    let positive: Vec<f32> = v.iter().map(|v| v.max(0.0)).collect();
    product(&measured(w)?, &positive)
}

/// For responses in the units of the file: one over the standard deviation of each neuron over the trials of tier
/// `train`, so that neurons count alike whatever their units. A neuron that never varies there has weight 0.
///
/// # Errors
/// A scan without trials of that tier.
pub fn standardising(scan: &Scan) -> Result<Vec<f32>> {
    let trials = scan.trials_in(Tier::Train);
    if trials.is_empty() {
        return Err(Error::Size { what: "trials of tier `train`", expected: "at least 1".into(), found: "none".into() });
    }
    let count = trials.len() as f64;
    let responses = scan.responses();
    let weight = |neuron: usize| {
        let values = || trials.iter().map(|trial| f64::from(responses[[*trial, neuron]]));
        let mean = values().sum::<f64>() / count;
        let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        if deviation > mean.abs() * f64::from(f32::EPSILON) { (1.0 / deviation) as f32 } else { 0.0 }
    };
    Ok((0..responses.ncols()).map(weight).collect())
}

/// Two weightings at once, as of standardised responses times w_a.
///
/// # Errors
/// Different lengths, or a product that is negative or not finite.
pub fn product(first: &[f32], second: &[f32]) -> Result<Vec<f32>> {
    if first.len() != second.len() {
        return Err(Error::Size {
            what: "weights of the same neurons",
            expected: first.len().to_string(),
            found: second.len().to_string(),
        });
    }
    first.iter().zip(second).enumerate().map(|(neuron, (a, b))| checked(neuron, a * b)).collect()
}

fn checked(neuron: usize, weight: f32) -> Result<f32> {
    if weight.is_finite() && weight >= 0.0 {
        Ok(weight)
    } else {
        Err(Error::Weight { neuron, expected: "a finite weight of at least 0", found: weight })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_and_unpredicted_neurons_have_no_weight() {
        let w = [Some(2.0), None, Some(0.5), Some(1.0)];
        assert_eq!(measured(&w).unwrap(), [2.0, 0.0, 0.5, 1.0]);
        assert_eq!(predicted(&w, &[0.5, 0.9, -0.3, 0.0]).unwrap(), [1.0, 0.0, 0.0, 0.0]);
        assert!(predicted(&w, &[0.5; 3]).is_err());
        assert!(matches!(predicted(&w, &[0.5, f32::NAN, 0.0, 0.0]), Err(Error::Weight { neuron: 1, .. })));
        assert!(matches!(measured(&[Some(1.0), Some(f32::INFINITY)]), Err(Error::Weight { neuron: 1, .. })));
    }
}
