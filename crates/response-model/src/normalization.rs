//! Training statistics, with which the inputs and outputs of a model are normalized.

use brainprior_recording::{Scan, Tier};
use ndarray::Array2;

use crate::config::{LossConfig, LossKind};
use crate::error::{Error, Result};

/// Lower bound of the divisor of responses, as a fraction of the mean standard deviation over
/// neurons (as in the lab's loaders).
const LEAST_STD_SHARE: f64 = 0.01;

/// Mean and standard deviation (ddof 0) of the pixels of the distinct training images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ImageNormalization {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) mean: f32,
    pub(crate) std: f32,
}

/// Training statistics of one scan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScanNormalization {
    /// Divisor of the responses.
    pub(crate) response_std: Vec<f32>,
    /// Mean response, in units of `response_std`.
    pub(crate) response_mean: Vec<f32>,
    /// False if the neuron is constant over the training trials; it is then left out of the loss
    /// and predicted by that constant.
    pub(crate) varies: Vec<bool>,
    pub(crate) behavior: Option<ColumnNormalization>,
    pub(crate) pupil: Option<ColumnNormalization>,
}

/// Mean and standard deviation of each column of a covariate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnNormalization {
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
}

impl ImageNormalization {
    /// No normalization.
    pub(crate) fn none(height: usize, width: usize) -> Self {
        Self { height, width, mean: 0.0, std: 1.0 }
    }

    /// Statistics of `images`, each counted once.
    pub(crate) fn of<'a>(
        height: usize,
        width: usize,
        images: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Self {
        let (mean, std) = mean_std(images.flatten().copied());
        Self { height, width, mean: mean as f32, std: if std > 0.0 { std as f32 } else { 1.0 } }
    }

    /// Writes (pixel - mean) / std.
    pub(crate) fn apply(&self, pixels: &[f32], out: &mut Vec<f32>) {
        out.extend(pixels.iter().map(|p| (p - self.mean) / self.std));
    }
}

impl ScanNormalization {
    /// Checks the scan and computes the statistics of its training trials `trials`.
    pub(crate) fn of(scan: &Scan, trials: &[usize], loss: &LossConfig) -> Result<Self> {
        if trials.len() < 2 {
            return Err(Error::TooFewTrials {
                scan: scan.name().to_owned(),
                tier: Tier::Train.name(),
                found: trials.len(),
                expected: 2,
            });
        }
        if loss.kind != LossKind::Gaussian && !loss.rectify_negative {
            check_sign(scan)?;
        }
        let rectify = |value: f32| if loss.rectify_negative { value.max(0.0) } else { value };
        let responses = scan.responses();
        let neurons = responses.ncols();
        let (mut means, mut stds) = (Vec::with_capacity(neurons), Vec::with_capacity(neurons));
        for column in responses.columns() {
            let (mean, std) = mean_std(trials.iter().map(|&t| rectify(column[t])));
            let first = rectify(column[trials[0]]);
            let varies = trials.iter().any(|&t| rectify(column[t]) != first);
            means.push(mean);
            stds.push(if varies { std } else { 0.0 });
        }
        let varies: Vec<bool> = stds.iter().map(|std| *std > 0.0).collect();
        if !varies.contains(&true) {
            return Err(Error::NothingVaries {
                scan: scan.name().to_owned(),
                neurons,
                trials: trials.len(),
            });
        }
        let least = LEAST_STD_SHARE * stds.iter().sum::<f64>() / neurons as f64;
        let response_std: Vec<f32> = stds.iter().map(|std| std.max(least) as f32).collect();
        let response_mean = means
            .iter()
            .zip(&response_std)
            .map(|(mean, std)| (mean / f64::from(*std)) as f32)
            .collect();
        let columns = |values: Option<&Array2<f32>>| {
            values.map(|values| ColumnNormalization::of(values, trials))
        };
        Ok(Self {
            response_std,
            response_mean,
            varies,
            behavior: columns(scan.behavior()),
            pupil: columns(scan.pupil_center()),
        })
    }

    /// The same statistics, but with responses in the units of the scan.
    pub(crate) fn in_scan_units(mut self) -> Self {
        for (mean, std) in self.response_mean.iter_mut().zip(&mut self.response_std) {
            *mean *= *std;
            *std = 1.0;
        }
        self
    }

    /// The responses of a trial in units of the standard deviation, rectified if `loss` requires
    /// it.
    pub(crate) fn responses<'a>(
        &'a self,
        row: impl Iterator<Item = &'a f32> + 'a,
        loss: &LossConfig,
    ) -> impl Iterator<Item = f32> + 'a {
        let least = if loss.rectify_negative { 0.0 } else { f32::NEG_INFINITY };
        row.zip(&self.response_std).map(move |(r, std)| r.max(least) / std)
    }
}

impl ColumnNormalization {
    fn of(values: &Array2<f32>, trials: &[usize]) -> Self {
        let statistics =
            values.columns().into_iter().map(|column| mean_std(trials.iter().map(|&t| column[t])));
        let (mean, std) = statistics
            .map(|(mean, std)| (mean as f32, if std > 0.0 { std as f32 } else { 1.0 }))
            .unzip();
        Self { mean, std }
    }

    /// The first `columns` columns of `values`, z-scored over all rows, flattened.
    pub(crate) fn of_all(values: &Array2<f32>, columns: usize) -> Vec<f32> {
        let by = Self::of(values, &(0..values.nrows()).collect::<Vec<_>>());
        values
            .rows()
            .into_iter()
            .flat_map(|row| by.apply(row.iter()).take(columns).collect::<Vec<_>>())
            .collect()
    }

    /// Z-scores one row.
    pub(crate) fn apply<'a>(
        &'a self,
        row: impl Iterator<Item = &'a f32> + 'a,
    ) -> impl Iterator<Item = f32> + 'a {
        row.zip(self.mean.iter().zip(&self.std)).map(|(value, (mean, std))| (value - mean) / std)
    }

    pub(crate) fn columns(&self) -> usize {
        self.mean.len()
    }
}

fn check_sign(scan: &Scan) -> Result<()> {
    let negative = || scan.responses().indexed_iter().filter(|(_, r)| **r < 0.0);
    match negative().next() {
        None => Ok(()),
        Some(((trial, neuron), &value)) => Err(Error::NegativeResponses {
            scan: scan.name().to_owned(),
            count: negative().count(),
            total: scan.responses().len(),
            trial,
            neuron,
            value,
        }),
    }
}

/// Mean and standard deviation (ddof 0), in two passes in f64.
fn mean_std(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    let variance = values.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}
