//! Weights of neurons in population vectors.

use crate::{Error, Result};
use brainprior_recording::{Reliability, Scan, Tier};

/// Lower bound of the divisor of a neuron, as a fraction of the mean standard deviation; otherwise
/// a neuron that hardly ever responds would outweigh all others. Response models use the same
/// bound.
const LEAST_DEVIATION_SHARE: f64 = 0.01;

/// The trials over which a neuron's standard deviation is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardizedOver {
    /// The trials of tier `train`.
    TrainingTier,
    /// All trials, including repeats: for scans without a training tier.
    AllTrials,
}

impl StandardizedOver {
    /// The rule for a scan.
    pub fn of(scan: &Scan) -> Self {
        if scan.tiers().contains(&Tier::Train) { Self::TrainingTier } else { Self::AllTrials }
    }

    /// The rule as a step of provenance.
    pub fn description(self) -> &'static str {
        match self {
            Self::TrainingTier => {
                "each neuron divided by its standard deviation over the training tier"
            }
            Self::AllTrials => {
                "each neuron divided by its standard deviation over all trials, repeats among them, since the scan has no training tier"
            }
        }
    }
}

/// Weights of one scan's neurons; responses are divided by each neuron's standard deviation
/// ([`standardizing_weights`]).
#[derive(Clone, Debug, PartialEq)]
pub struct ScanWeights {
    /// The trials over which the standard deviation is computed.
    pub standardized_over: StandardizedOver,
    /// Equal weights: 1 / standard deviation.
    pub equal: Vec<f32>,
    /// w / standard deviation, for measured responses.
    pub measured: Vec<f32>,
    /// w v / standard deviation, for predicted responses; `None` without a response model.
    pub predicted: Option<Vec<f32>>,
    /// Which of these weights targets use.
    pub of_targets: TargetWeights,
}

/// The weights of neurons in targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetWeights {
    /// 1 / standard deviation.
    Equal,
    /// w / standard deviation for measured, w v / standard deviation for predicted responses
    /// (section 3.1 of the paper).
    #[default]
    SignalToNoise,
}

impl ScanWeights {
    /// Creates weights from the reliability of the scan's neurons and, if there is a response
    /// model, from `v`: the correlation of each neuron's predicted and measured responses, as the
    /// response model's `v_a` returns it (`None` for a neuron without one, which gets weight 0).
    ///
    /// # Errors
    /// Returns an error if the numbers of neurons differ or a correlation is NaN.
    pub fn new(scan: &Scan, reliability: &Reliability, v: Option<&[Option<f32>]>) -> Result<Self> {
        let equal = standardizing_weights(scan);
        let predicted = v
            .map(|v| product_of_weights(&predicted_weights(reliability, v)?, &equal))
            .transpose()?;
        Ok(Self {
            standardized_over: StandardizedOver::of(scan),
            measured: product_of_weights(&measured_weights(reliability), &equal)?,
            predicted,
            equal,
            of_targets: TargetWeights::default(),
        })
    }

    /// Returns the same weights, with other weights for targets.
    pub fn with_targets(mut self, of_targets: TargetWeights) -> Self {
        self.of_targets = of_targets;
        self
    }

    /// The weights of measured responses in targets.
    pub fn target_of_measured(&self) -> &[f32] {
        match self.of_targets {
            TargetWeights::Equal => &self.equal,
            TargetWeights::SignalToNoise => &self.measured,
        }
    }

    /// The weights of predicted responses in targets; `None` without a response model.
    pub fn target_of_predicted(&self) -> Option<&[f32]> {
        let predicted = self.predicted.as_deref()?;
        Some(match self.of_targets {
            TargetWeights::Equal => &self.equal,
            TargetWeights::SignalToNoise => predicted,
        })
    }
}

/// Weights for measured responses: w_a, the signal-to-noise ratio of each neuron (section 3.1 of
/// the paper). A neuron excluded from the reliability has weight 0.
pub fn measured_weights(reliability: &Reliability) -> Vec<f32> {
    reliability.w.iter().map(|w| w.unwrap_or(0.0)).collect()
}

/// Weights for predicted responses: w_a v_a, where v_a is the correlation of predicted and measured
/// responses (section 3.1 of the paper). If v_a is `None` or not above 0, the model does not
/// predict the neuron, which gets weight 0.
///
/// # Errors
/// Returns an error if the numbers of neurons differ or a correlation is NaN.
pub fn predicted_weights(reliability: &Reliability, v: &[Option<f32>]) -> Result<Vec<f32>> {
    let v: Vec<f32> = v.iter().map(|v| v.unwrap_or(0.0)).collect();
    if let Some(neuron) = v.iter().position(|v| v.is_nan()) {
        return Err(Error::Weight {
            neuron,
            expected: "a correlation of predicted and measured responses",
            found: v[neuron],
        });
    }
    let positive: Vec<f32> = v.iter().map(|v| v.max(0.0)).collect();
    product_of_weights(&measured_weights(reliability), &positive)
}

/// Weights for responses in the units of the file: 1 / standard deviation of each neuron over the
/// trials of tier `train`, or over all trials in a scan without that tier ([`StandardizedOver`]),
/// so that neurons have equal weight whatever their units. The standard deviation is at least 1% of
/// the mean over neurons, as in response models. A neuron that never varies has weight 0.
pub fn standardizing_weights(scan: &Scan) -> Vec<f32> {
    let trials = match StandardizedOver::of(scan) {
        StandardizedOver::TrainingTier => scan.trials_in(Tier::Train),
        StandardizedOver::AllTrials => (0..scan.tiers().len()).collect(),
    };
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
    deviations
        .into_iter()
        .map(|deviation| if deviation > 0.0 { (1.0 / deviation.max(least)) as f32 } else { 0.0 })
        .collect()
}

/// The product of two weightings, such as standardization and w_a.
///
/// # Errors
/// Returns an error if lengths differ or a product is negative or not finite.
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
        Some(neuron) => Err(Error::Weight {
            neuron,
            expected: "a finite weight of at least 0",
            found: product[neuron],
        }),
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
        // The standard deviations over four trials are 2, 4, 0.0005 and 0; their mean is 1.500125.
        let rows = [
            [4.0, 8.0, 0.001, 3.0],
            [0.0, 0.0, 0.0, 3.0],
            [4.0, 8.0, 0.001, 3.0],
            [0.0, 0.0, 0.0, 3.0],
        ];
        let weights = standardizing_weights(&scan(&rows));
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
        assert_eq!(
            predicted_weights(&known, &[Some(0.5), Some(0.9), Some(-0.3), None]).unwrap(),
            [1.0, 0.0, 0.0, 0.0]
        );
        assert!(matches!(predicted_weights(&known, &[Some(0.5); 3]), Err(Error::Size { .. })));
        assert!(matches!(
            predicted_weights(&known, &[Some(0.5), Some(f32::NAN), None, None]),
            Err(Error::Weight { neuron: 1, .. })
        ));
        assert!(matches!(
            product_of_weights(&[1.0, 1.0], &[1.0, f32::INFINITY]),
            Err(Error::Weight { neuron: 1, .. })
        ));
    }
}
