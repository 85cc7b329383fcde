//! Conditions compared with the baseline, paired by seed: networks of one seed start with equal
//! weights and see the same batches.

use super::Spread;
use brainprior_robustness::half_width_of_mean;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A condition compared with the baseline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) condition: String,
    /// The condition used as reference.
    pub(crate) baseline: String,
    /// Ratio of the smallest perturbations, by norm.
    pub(crate) minimal_perturbation: BTreeMap<String, Ratio>,
    /// Absent if the baseline has no shorter trainings, and for these trainings themselves.
    pub(crate) at_equal_accuracy: Option<AtEqualAccuracy>,
}

/// The difference between a condition and the baseline at equal clean accuracy, for each seed
/// interpolated between the baseline and its shorter trainings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AtEqualAccuracy {
    /// The conditions between which it was interpolated.
    pub(crate) controls: Vec<String>,
    /// Seeds left out because their network is more or less accurate than all controls.
    pub(crate) seeds_outside: Vec<u64>,
    pub(crate) gaussian_noise: Vec<LevelDifference>,
    /// By attack, at equal accuracy on the attacked images.
    pub(crate) attacks: BTreeMap<String, Vec<LevelDifference>>,
    /// Negative if the condition makes fewer errors.
    pub(crate) mean_corruption_error: Option<Difference>,
}

/// A difference in accuracy at one noise level or attack size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LevelDifference {
    pub(crate) level: f64,
    /// Absent if all seeds are left out.
    pub(crate) difference: Option<Difference>,
}

/// A paired difference over seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Difference {
    #[serde(flatten)]
    pub(crate) over_seeds: Spread,
    /// Half width of its 95% interval by Student's t; absent for a single seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) half_width: Option<f64>,
}

impl Difference {
    /// Summarizes the values of the seeds, of which there is at least one.
    pub(crate) fn of(values: &[f64]) -> Self {
        let over_seeds = Spread::of(values);
        let half_width = over_seeds
            .standard_deviation
            .and_then(|deviation| half_width_of_mean(deviation, values.len()));
        Self { over_seeds, half_width }
    }
}

/// Ratio of two conditions' smallest perturbations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// Geometric mean over seeds; absent if a seed has no ratio.
    pub(crate) ratio: Option<f64>,
    /// 95% interval by Student's t on the log ratios of the seeds; absent for a single seed.
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    pub(crate) seeds: Vec<SeedRatio>,
}

/// The ratio for two networks of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SeedRatio {
    pub(crate) seed: u64,
    /// Median over the images that both classify correctly; absent if there are none or if it is
    /// not finite because too many of them withstood under one network only.
    pub(crate) ratio: Option<f64>,
    /// 95% interval over images.
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    /// Number of images that both classify correctly.
    pub(crate) images: usize,
    /// Of these, the images that withstood every attack: under the condition's network only, the
    /// baseline's only, and both.
    pub(crate) censored: [usize; 3],
}
