//! Conditions compared with the baseline, seed by seed: networks of one seed begin alike and see the same batches.

use super::Spread;
use brainprior_robustness::half_width_of_mean;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A condition against the baseline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) condition: String,
    /// The condition that it is compared with.
    pub(crate) baseline: String,
    /// How many times larger the smallest perturbations are, by norm.
    pub(crate) minimal_perturbation: BTreeMap<String, Ratio>,
    /// Absent where there are no shorter trainings of the baseline, and for these themselves.
    pub(crate) at_equal_accuracy: Option<AtEqualAccuracy>,
}

/// A condition less what the baseline reaches at the same accuracy on clean images: for each seed interpolated between the baseline
/// and its shorter trainings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AtEqualAccuracy {
    /// The conditions between which it was interpolated.
    pub(crate) controls: Vec<String>,
    /// Seeds whose network is more or less accurate than all controls: they are left out.
    pub(crate) seeds_outside: Vec<u64>,
    pub(crate) gaussian_noise: Vec<LevelDifference>,
    /// By attack, at equal accuracy on the attacked images.
    pub(crate) attacks: BTreeMap<String, Vec<LevelDifference>>,
    /// Below 0 where the condition errs less.
    pub(crate) mean_corruption_error: Option<Difference>,
}

/// A difference in accuracy at one level of noise or attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LevelDifference {
    pub(crate) level: f64,
    /// Absent where every seed is left out.
    pub(crate) difference: Option<Difference>,
}

/// A difference over seeds, paired.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Difference {
    #[serde(flatten)]
    pub(crate) over_seeds: Spread,
    /// Half of its interval of 95% by Student's t; absent of one seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) half_width: Option<f64>,
}

impl Difference {
    /// Over the values of the seeds, at least one.
    pub(crate) fn of(values: &[f64]) -> Self {
        let over_seeds = Spread::of(values);
        let half_width = over_seeds.standard_deviation.and_then(|deviation| half_width_of_mean(deviation, values.len()));
        Self { over_seeds, half_width }
    }
}

/// The ratio of two conditions' smallest perturbations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// Geometric mean over seeds; absent where a seed has none.
    pub(crate) ratio: Option<f64>,
    /// Its interval of 95% by Student's t over the logarithms of the seeds' ratios; absent of one seed.
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    pub(crate) seeds: Vec<SeedRatio>,
}

/// The ratio of two networks of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SeedRatio {
    pub(crate) seed: u64,
    /// The median over the images that both get right; absent where there are none, and where it is not finite, since too many
    /// of them withstood under one network alone.
    pub(crate) ratio: Option<f64>,
    /// Its interval of 95% over images.
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    /// Images that both get right.
    pub(crate) images: usize,
    /// Those of them that withstood every attack, under the condition's network alone, the baseline's alone, and both.
    pub(crate) censored: [usize; 3],
}
