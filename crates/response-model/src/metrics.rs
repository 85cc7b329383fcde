//! Metrics: how well a model predicts the repeated test trials of a scan.

use brainprior_recording::{Scan, Tier, median, reliability};
use ndarray::Array2;

use crate::error::{Error, Result};
use crate::model::ResponseModel;
use crate::predict::correlations;
use crate::statistics::{Interval, bootstrap, correlation, slope};

/// Smallest fraction of explainable variance at which FEVE is defined for a neuron.
pub const LEAST_FEV: f64 = 0.15;

/// Prediction quality on the test tier, per neuron and over neurons.
///
/// `None` marks undefined values: a neuron or its prediction never varies.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Metrics {
    /// Correlation of predicted and observed responses over single trials, each predicted with its
    /// behavior and pupil.
    pub single_trial: Vec<Option<f32>>,
    /// Correlation over repeated images between the mean prediction and the repeat average.
    pub to_average: Vec<Option<f32>>,
    /// Oracle correlation (jackknife) of the recording; see [`brainprior_recording::Reliability`].
    pub oracle: Vec<Option<f32>>,
    /// Fraction of explainable variance explained: 1 - (mean squared error - noise) / (variance -
    /// noise), where the noise is the variance over repeats (ddof 1), averaged over repeated
    /// images. `None` if the fraction of explainable variance is below [`LEAST_FEV`] (Cadena et al.
    /// 2019). Above 1 if behavior and gaze, which the model uses, explain part of the noise.
    pub feve: Vec<Option<f32>>,
    /// Median of `single_trial`.
    pub median_single_trial: Option<Interval>,
    /// Median of `to_average`.
    pub median_to_average: Option<Interval>,
    /// Slope through the origin of `single_trial` on `oracle` (Sinz et al. 2018). Above 1 if the
    /// model, which uses behavior and gaze, predicts a trial better than the other repeats do.
    pub fraction_oracle: Option<Interval>,
    /// Median of `feve`.
    pub median_feve: Option<Interval>,
}

impl ResponseModel {
    /// Metrics of scan number `scan` on the test tier of `recorded`; `seed` is for the bootstrap
    /// over neurons.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`], [`Error::ScanMismatch`], or [`Error::Recording`] if too few
    /// test images have repeats.
    pub fn metrics(&self, scan: usize, recorded: &Scan, seed: u64) -> Result<Metrics> {
        let varies = &self.part(scan)?.normalization.varies;
        Metrics::of(recorded, varies, seed, &|trials| self.predict_trials(scan, recorded, trials))
    }
}

impl Metrics {
    /// Metrics of the predictions `[trials, neurons]` that `predict` makes for trials of the test
    /// tier. `varies` marks the neurons that vary in training; `seed` is for the bootstrap over
    /// neurons.
    ///
    /// # Errors
    /// Returns the errors of `predict`, [`Error::Recording`] if too few test images have repeats,
    /// or [`Error::TooFewTrials`].
    #[expect(clippy::missing_panics_doc, reason = "a repeated image's trials are in the test tier")]
    pub fn of(
        recorded: &Scan,
        varies: &[bool],
        seed: u64,
        predict: &dyn Fn(&[usize]) -> Result<Array2<f32>>,
    ) -> Result<Metrics> {
        let oracle = reliability(recorded)?.oracle_jackknife;
        let trials = recorded.trials_in(Tier::Test);
        if trials.is_empty() {
            let scan = recorded.name().to_owned();
            return Err(Error::TooFewTrials {
                scan,
                tier: Tier::Test.name(),
                found: 0,
                expected: 1,
            });
        }
        let predicted = predict(&trials)?;
        // Rows of `predicted` for each repeated image.
        let row = |trial: &usize| trials.binary_search(trial).expect("trials of a tier ascend");
        let repeats: Vec<Vec<usize>> = recorded
            .repeats()
            .values()
            .map(|of_image| of_image.iter().map(row).collect())
            .collect();
        let single_trial = correlations(recorded, &trials, &predicted, varies);
        let neurons = single_trial.len();
        let (mut to_average, mut feve) = (Vec::with_capacity(neurons), Vec::with_capacity(neurons));
        for n in 0..neurons {
            let observed = |row: usize| f64::from(recorded.responses()[(trials[row], n)]);
            let expected = |row: usize| f64::from(predicted[(row, n)]);
            let neuron = Neuron { observed: &observed, expected: &expected, repeats: &repeats };
            let varies = single_trial[n].is_some();
            to_average.push(if varies { neuron.to_average() } else { None });
            feve.push(if varies { neuron.feve() } else { None });
        }
        let defined = |values: &[Option<f32>]| {
            values.iter().flatten().map(|&v| f64::from(v)).collect::<Vec<_>>()
        };
        let pairs: Vec<(f64, f64)> = oracle
            .iter()
            .zip(&single_trial)
            .filter_map(|(oracle, test)| Some((f64::from((*oracle)?), f64::from((*test)?))))
            .collect();
        Ok(Metrics {
            median_single_trial: bootstrap(&defined(&single_trial), median, seed),
            median_to_average: bootstrap(&defined(&to_average), median, seed),
            fraction_oracle: bootstrap(&pairs, slope, seed),
            median_feve: bootstrap(&defined(&feve), median, seed),
            single_trial,
            to_average,
            oracle,
            feve,
        })
    }
}

struct Neuron<'a> {
    observed: &'a dyn Fn(usize) -> f64,
    expected: &'a dyn Fn(usize) -> f64,
    repeats: &'a [Vec<usize>],
}

impl Neuron<'_> {
    fn to_average(&self) -> Option<f32> {
        let mean = |of: &dyn Fn(usize) -> f64, rows: &[usize]| {
            rows.iter().map(|&r| of(r)).sum::<f64>() / rows.len() as f64
        };
        let pairs: Vec<(f64, f64)> = self
            .repeats
            .iter()
            .map(|rows| (mean(self.expected, rows), mean(self.observed, rows)))
            .collect();
        correlation(pairs.into_iter()).map(|r| r as f32)
    }

    fn feve(&self) -> Option<f32> {
        let rows: Vec<usize> = self.repeats.iter().flatten().copied().collect();
        let noise = self.repeats.iter().map(|rows| variance(self.observed, rows)).sum::<f64>()
            / self.repeats.len() as f64;
        let total = variance(self.observed, &rows);
        let error =
            rows.iter().map(|&r| ((self.observed)(r) - (self.expected)(r)).powi(2)).sum::<f64>()
                / rows.len() as f64;
        (total > 0.0 && (total - noise) / total >= LEAST_FEV)
            .then(|| (1.0 - (error - noise) / (total - noise)) as f32)
    }
}

/// Variance with ddof 1.
fn variance(of: &dyn Fn(usize) -> f64, rows: &[usize]) -> f64 {
    let mean = rows.iter().map(|&r| of(r)).sum::<f64>() / rows.len() as f64;
    rows.iter().map(|&r| (of(r) - mean).powi(2)).sum::<f64>() / (rows.len() as f64 - 1.0).max(1.0)
}
