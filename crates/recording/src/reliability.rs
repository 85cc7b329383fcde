//! The reliability of neural responses.

use crate::{Error, Result, Scan};
use rayon::prelude::*;

/// Reliability of each neuron over the repeats of the oracle images, one entry per neuron.
///
/// Let r_it be the response to oracle image i in repeat t, with T_i >= 2 repeats of image i; all
/// trials have equal weight unless stated otherwise. An entry is `None` if the neuron never varies
/// over the repeats of any image (eta = 0), since no measure is defined then.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// w = sigma / eta, sigma^2 = Var_i(mean_t r_it) (ddof 1), eta^2 = mean_i Var_t(r_it) (ddof 1)
    /// (Li et al. 2019, section 2). sigma^2 is the variance of the observed means, which contains
    /// eta^2 / T of noise.
    pub w: Vec<Option<f32>>,
    /// Correlation of each trial with the mean of the other trials of its image, over all trials
    /// (`oracle_corr_jackknife` of neuralpredictors). Biased low for few repeats, because the mean
    /// of T - 1 trials is noisy.
    pub oracle_jackknife: Vec<Option<f32>>,
    /// sqrt(V / (V + N)), with V the variance of the means over images and N the mean variance over
    /// repeats, both ddof 0: the correlation of a trial with the mean of all trials, including
    /// itself (`oracle_corr_conservative` of neuralpredictors). Biased high, because the means
    /// contain the noise of the same trials; less so with more repeats.
    pub oracle_conservative: Vec<Option<f32>>,
    /// (T - N) / T, with T the variance over all trials and N the mean variance over repeats, both
    /// ddof 1: the fraction of explainable variance. Nearly unbiased, hence below 0 for some
    /// neurons without signal.
    pub explainable_variance: Vec<Option<f32>>,
    /// V / N as in `oracle_conservative`: signal-to-noise ratio of the variances, biased high by
    /// about 1 / T.
    pub snr: Vec<Option<f32>>,
    /// Number of neurons without an entry.
    pub excluded: usize,
    /// Number of oracle images.
    pub images: usize,
    /// Number of their trials.
    pub trials: usize,
}

struct Neuron {
    w: f32,
    jackknife: f32,
    conservative: f32,
    explainable_variance: f32,
    snr: f32,
}

/// Reliability of every neuron over the oracle images, that is, images with repeats in the test
/// tier.
///
/// # Errors
/// Returns [`Error::NoRepeats`] if fewer than two images have repeats.
pub fn reliability(scan: &Scan) -> Result<Reliability> {
    let repeats: Vec<Vec<usize>> = scan.repeats().into_values().collect();
    if repeats.len() < 2 {
        let test_trials = scan.trials_in(crate::Tier::Test).len();
        return Err(Error::NoRepeats {
            scan: scan.name().to_owned(),
            repeated: repeats.len(),
            test_trials,
        });
    }
    let neurons: Vec<Option<Neuron>> = (0..scan.neurons().len())
        .into_par_iter()
        .map(|neuron| of_neuron(scan, neuron, &repeats))
        .collect();
    let column = |value: fn(&Neuron) -> f32| {
        neurons.iter().map(|neuron| neuron.as_ref().map(value)).collect()
    };
    Ok(Reliability {
        w: column(|neuron| neuron.w),
        oracle_jackknife: column(|neuron| neuron.jackknife),
        oracle_conservative: column(|neuron| neuron.conservative),
        explainable_variance: column(|neuron| neuron.explainable_variance),
        snr: column(|neuron| neuron.snr),
        excluded: neurons.iter().filter(|neuron| neuron.is_none()).count(),
        images: repeats.len(),
        trials: repeats.iter().map(Vec::len).sum(),
    })
}

fn of_neuron(scan: &Scan, neuron: usize, repeats: &[Vec<usize>]) -> Option<Neuron> {
    let column = scan.responses().column(neuron);
    let images = repeats.len() as f64;
    let (mut means, mut noise_unbiased, mut noise_biased) =
        (Vec::with_capacity(repeats.len()), 0.0, 0.0);
    let (mut trials, mut others) = (vec![], vec![]);
    for rows in repeats {
        let values = || rows.iter().map(|row| f64::from(column[*row]));
        let count = rows.len() as f64;
        let total: f64 = values().sum();
        let mean = total / count;
        let squares: f64 = values().map(|value| (value - mean).powi(2)).sum();
        noise_unbiased += squares / (count - 1.0) / images;
        noise_biased += squares / count / images;
        means.push(mean);
        trials.extend(values());
        others.extend(values().map(|value| (total - value) / (count - 1.0)));
    }
    if noise_unbiased == 0.0 {
        return None;
    }
    let signal = sum_of_squares(&means);
    let total = sum_of_squares(&trials) / (trials.len() as f64 - 1.0);
    let (signal_unbiased, signal_biased) = (signal / (images - 1.0), signal / images);
    Some(Neuron {
        w: (signal_unbiased / noise_unbiased).sqrt() as f32,
        jackknife: correlation(&trials, &others) as f32,
        conservative: (signal_biased / (signal_biased + noise_biased)).sqrt() as f32,
        explainable_variance: ((total - noise_unbiased) / total) as f32,
        snr: (signal_biased / noise_biased) as f32,
    })
}

/// Sum of squared deviations from the mean.
/// The median; the mean of the two middle values of an even number, and `None` of an empty slice.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

pub(crate) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) =
        (a.iter().sum::<f64>() / a.len() as f64, b.iter().sum::<f64>() / b.len() as f64);
    let product: f64 = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
    product / (sum_of_squares(a) * sum_of_squares(b)).sqrt()
}
