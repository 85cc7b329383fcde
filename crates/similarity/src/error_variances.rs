//! Combines predictions with measurements, each weighted by its precision.

use crate::{Error, Result, standardizing_weights};
use brainprior_images::ImageId;
use brainprior_recording::{ResponseKind, Responses, Scan, Tier};
use ndarray::Array2;
use std::collections::{BTreeMap, HashMap};

/// From this number of repeated images outside the test tier on, the trial noise is estimated from
/// them; otherwise from the test tier, like the weights w.
const ENOUGH_REPEATED: usize = 50;
/// Smallest error variance of a model, as a fraction of the mean over neurons, since the estimate
/// itself is uncertain.
const LEAST_ERROR: f64 = 0.05;

/// For each neuron, the variance of a model's error around the expected response, and that of a
/// single trial.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorVariances {
    error: Vec<f64>,
    noise: Vec<f64>,
    /// Mean response minus mean prediction.
    level: Vec<f64>,
}

impl ErrorVariances {
    /// Estimates variances from predictions `[trials, neurons]` for held-out `trials` of `scan`.
    /// The squared difference between an image's mean response and its prediction, minus the noise
    /// variance of that mean, equals the model's error variance on average. Both variances are
    /// shrunk towards their mean over neurons, in units of each neuron's variance, according to
    /// their uncertainty.
    ///
    /// # Errors
    /// Returns an error if the predictions have the wrong size or the scan repeats no image, so
    /// noise and error cannot be separated.
    pub fn of(scan: &Scan, trials: &[usize], predicted: &Array2<f32>) -> Result<Self> {
        let neurons = scan.responses().ncols();
        if predicted.dim() != (trials.len(), neurons) {
            let expected = format!("{} x {neurons}", trials.len());
            let found = format!("{} x {}", predicted.nrows(), predicted.ncols());
            return Err(Error::Size { what: "predictions of held-out trials", expected, found });
        }
        let units: Vec<f64> =
            standardizing_weights(scan).iter().map(|weight| f64::from(*weight)).collect();
        let noise = trial_noise(scan)?;
        let noise = shrunk(&noise, &units, 0.0);
        let mut rows_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, trial) in trials.iter().enumerate() {
            rows_of.entry(scan.trial_image()[*trial]).or_default().push(row);
        }
        let (mut error, mut level) = (Vec::with_capacity(neurons), Vec::with_capacity(neurons));
        for n in 0..neurons {
            let difference = |rows: &Vec<usize>| {
                let one = |row: &usize| {
                    f64::from(scan.responses()[(trials[*row], n)]) - f64::from(predicted[(*row, n)])
                };
                (rows.iter().map(one).sum::<f64>() / rows.len() as f64, rows.len() as f64)
            };
            let differences: Vec<(f64, f64)> = rows_of.values().map(difference).collect();
            let mean = differences.iter().map(|(difference, _)| difference).sum::<f64>()
                / differences.len().max(1) as f64;
            level.push(mean);
            error.push(
                differences
                    .iter()
                    .map(|(of, count)| (of - mean).powi(2) - noise[n] / count)
                    .collect(),
            );
        }
        Ok(Self { error: shrunk(&error, &units, LEAST_ERROR), noise, level })
    }

    /// Creates it from the stored values of [`ErrorVariances::error`], [`ErrorVariances::noise`]
    /// and [`ErrorVariances::level`].
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the numbers of neurons differ.
    pub fn from_parts(error: Vec<f64>, noise: Vec<f64>, level: Vec<f64>) -> Result<Self> {
        match [noise.len(), level.len()].into_iter().find(|found| *found != error.len()) {
            Some(found) => Err(Error::Size {
                what: "variances of the same neurons",
                expected: error.len().to_string(),
                found: found.to_string(),
            }),
            None => Ok(Self { error, noise, level }),
        }
    }

    /// Mean response minus mean prediction, in units of the scan.
    pub fn level(&self) -> &[f64] {
        &self.level
    }

    /// Error variance of the model around the expected response, for each neuron, in squared units
    /// of the scan.
    pub fn error(&self) -> &[f64] {
        &self.error
    }

    /// Variance of a single trial around the expected response.
    pub fn noise(&self) -> &[f64] {
        &self.noise
    }

    /// The precision-weighted mean of `predicted` and `measured` responses, which has the smallest
    /// error if both errors are independent. `measured` are means over `trials` trials per image.
    /// Images that were not measured keep their prediction.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the number of neurons differs.
    pub fn combined(
        &self,
        predicted: &Responses,
        measured: &Responses,
        trials: &dyn Fn(ImageId) -> usize,
    ) -> Result<Responses> {
        let neurons = self.error.len();
        for responses in [predicted, measured] {
            if responses.values().ncols() != neurons {
                let found = responses.values().ncols().to_string();
                return Err(Error::Size {
                    what: "neurons to combine",
                    expected: neurons.to_string(),
                    found,
                });
            }
        }
        let row_of: HashMap<ImageId, usize> =
            measured.ids().iter().enumerate().map(|(row, id)| (*id, row)).collect();
        let mut values = predicted.values().clone();
        for (mut row, id) in values.rows_mut().into_iter().zip(predicted.ids()) {
            let Some(of) = row_of.get(id) else { continue };
            let count = trials(*id).max(1) as f64;
            for (n, value) in row.iter_mut().enumerate() {
                let noise = self.noise[n] / count;
                let sum = self.error[n] + noise;
                let share = if sum > 0.0 { self.error[n] / sum } else { 0.0 };
                let response = f64::from(measured.values()[(*of, n)]) - self.level[n];
                *value = (f64::from(*value) + share * (response - f64::from(*value))) as f32;
            }
        }
        let kind: ResponseKind = predicted.kind();
        Ok(Responses::new(predicted.scan(), kind, predicted.ids().to_vec(), values)?)
    }
}

/// For each neuron, the unbiased variance over the trials of each repeated image.
fn trial_noise(scan: &Scan) -> Result<Vec<Vec<f64>>> {
    let mut of_image: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (trial, image) in scan.trial_image().iter().enumerate() {
        if scan.tiers()[trial] != Tier::Test {
            of_image.entry(*image).or_default().push(trial);
        }
    }
    of_image.retain(|_, trials| trials.len() > 1);
    if of_image.len() < ENOUGH_REPEATED {
        of_image = scan.repeats().into_iter().collect();
    }
    if of_image.is_empty() {
        return Err(Error::Size {
            what: "images shown more than once",
            expected: "at least 1".into(),
            found: "none".into(),
        });
    }
    let variance = |n: usize, trials: &Vec<usize>| {
        let values = || trials.iter().map(|trial| f64::from(scan.responses()[(*trial, n)]));
        let mean = values().sum::<f64>() / trials.len() as f64;
        values().map(|value| (value - mean).powi(2)).sum::<f64>() / (trials.len() as f64 - 1.0)
    };
    let neurons = scan.responses().ncols();
    Ok((0..neurons)
        .map(|n| of_image.values().map(|trials| variance(n, trials)).collect())
        .collect())
}

/// Means of each neuron's `terms`, shrunk towards the mean over neurons by the fraction of their
/// variance that is due to their uncertainty (James & Stein 1961), in units of `1 / units`, and at
/// least `least` times the mean over neurons.
fn shrunk(terms: &[Vec<f64>], units: &[f64], least: f64) -> Vec<f64> {
    let counted: Vec<usize> =
        (0..terms.len()).filter(|n| units[*n] > 0.0 && !terms[*n].is_empty()).collect();
    let count = counted.len().max(1) as f64;
    let mean = |n: usize| terms[n].iter().sum::<f64>() / terms[n].len() as f64;
    let scaled: Vec<f64> = counted.iter().map(|n| mean(*n) * units[*n].powi(2)).collect();
    let common = scaled.iter().sum::<f64>() / count;
    let between = scaled.iter().map(|value| (value - common).powi(2)).sum::<f64>() / count;
    let uncertain = |n: usize| {
        let images = terms[n].len() as f64;
        let squares: f64 = terms[n].iter().map(|term| (term - mean(n)).powi(2)).sum();
        squares * units[n].powi(4) / images / (images - 1.0).max(1.0)
    };
    let uncertainty = counted.iter().map(|n| uncertain(*n)).sum::<f64>() / count;
    let share = if between > 0.0 { (uncertainty / between).min(1.0) } else { 1.0 };
    let mut shrunk = vec![0.0; terms.len()];
    for (n, value) in counted.into_iter().zip(scaled) {
        let value = (share * common + (1.0 - share) * value).max(least * common).max(0.0);
        shrunk[n] = value / units[n].powi(2);
    }
    shrunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_combination_lies_between_prediction_and_measurement_by_their_precision() {
        let ids = vec![ImageId::from_u64(1), ImageId::from_u64(2)];
        let of = |values| Responses::new("s", ResponseKind::Expected, ids.clone(), values).unwrap();
        let variances =
            ErrorVariances::from_parts(vec![1.0, 2.0], vec![3.0, 0.0], vec![0.0, 0.5]).unwrap();
        let predicted = of(ndarray::arr2(&[[1.0, 1.0], [2.0, 2.0]]));
        let measured = Responses::new(
            "s",
            ResponseKind::Expected,
            ids[..1].to_vec(),
            ndarray::arr2(&[[5.0, 5.0]]),
        )
        .unwrap();
        let once = variances.combined(&predicted, &measured, &|_| 1).unwrap();
        assert_eq!(once.values(), &ndarray::arr2(&[[2.0, 4.5], [2.0, 2.0]]));
        let thrice = variances.combined(&predicted, &measured, &|_| 3).unwrap();
        assert_eq!(thrice.values()[(0, 0)], 3.0);
    }

    #[test]
    fn estimates_that_are_sure_stay_and_those_that_are_not_meet_in_the_middle() {
        let sure = [vec![1.0; 40], vec![3.0; 40]];
        assert_eq!(shrunk(&sure, &[1.0, 1.0], 0.0), [1.0, 3.0]);
        let spread = |mean: f64| {
            (0..40).map(|i| mean + if i % 2 == 0 { 50.0 } else { -50.0 }).collect::<Vec<_>>()
        };
        assert_eq!(shrunk(&[spread(1.0), spread(3.0)], &[1.0, 1.0], 0.0), [2.0, 2.0]);
        // The same neurons in other units; one of them is counted in halves.
        assert_eq!(shrunk(&[spread(1.0), spread(3.0)], &[1.0, 0.0], 0.0), [1.0, 0.0]);
        assert_eq!(shrunk(&[vec![1.0; 4], vec![12.0; 4]], &[1.0, 0.5], 0.0), [1.0, 12.0]);
        assert_eq!(shrunk(&[vec![-1.0; 4], vec![3.0; 4]], &[1.0, 1.0], 0.05), [0.05, 3.0]);
    }
}
