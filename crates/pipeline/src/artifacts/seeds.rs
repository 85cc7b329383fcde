//! Networks of one condition summed up over their seeds.

use super::{NetworkResult, Point};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Mean and standard deviation over seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) standard_deviation: f64,
}

impl Spread {
    /// Over the values of the seeds; the standard deviation has ddof 1, and is 0 for a single seed.
    pub(crate) fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Self { mean, standard_deviation: if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 } }
    }
}

/// Accuracy over seeds at one level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LevelSummary {
    pub(crate) level: f64,
    pub(crate) accuracy: Spread,
    /// Accuracy over clean accuracy, of the same network.
    pub(crate) retention: Spread,
}

/// A condition over its seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConditionSummary {
    pub(crate) condition: String,
    pub(crate) seeds: usize,
    pub(crate) clean_accuracy: Spread,
    pub(crate) gaussian_noise: Vec<LevelSummary>,
    /// Absent where corruptions were not measured.
    pub(crate) mean_corruption_error: Option<Spread>,
    pub(crate) attacks: BTreeMap<String, Vec<LevelSummary>>,
    pub(crate) minimal_perturbation: BTreeMap<String, Option<Spread>>,
}

/// Sums up the networks of each condition, in the order in which the conditions appear.
pub(crate) fn summarize(networks: &[NetworkResult]) -> Vec<ConditionSummary> {
    let mut order: Vec<&str> = Vec::new();
    for network in networks {
        if !order.contains(&network.condition.as_str()) {
            order.push(&network.condition);
        }
    }
    order.into_iter().map(|condition| summarize_one(condition, networks)).collect()
}

fn summarize_one(condition: &str, networks: &[NetworkResult]) -> ConditionSummary {
    let own: Vec<&NetworkResult> = networks.iter().filter(|network| network.condition == condition).collect();
    let first = own[0];
    let curve = |points: &dyn Fn(&NetworkResult) -> Vec<Point>| -> Vec<LevelSummary> {
        let curves: Vec<Vec<Point>> = own.iter().map(|network| points(network)).collect();
        (0..curves[0].len())
            .map(|index| {
                let accuracy: Vec<f64> = curves.iter().map(|curve| curve[index].accuracy).collect();
                let retention: Vec<f64> = accuracy
                    .iter()
                    .zip(&own)
                    .map(|(accuracy, network)| if network.clean_accuracy > 0.0 { accuracy / network.clean_accuracy } else { 0.0 })
                    .collect();
                LevelSummary { level: curves[0][index].level, accuracy: Spread::of(&accuracy), retention: Spread::of(&retention) }
            })
            .collect()
    };
    let medians = |name: &String| -> Option<Spread> {
        let values: Option<Vec<f64>> = own.iter().map(|network| network.minimal_perturbation[name].median).collect();
        values.map(|values| Spread::of(&values))
    };
    ConditionSummary {
        condition: condition.to_owned(),
        seeds: own.len(),
        clean_accuracy: Spread::of(&own.iter().map(|network| network.clean_accuracy).collect::<Vec<_>>()),
        gaussian_noise: curve(&|network| network.gaussian_noise.clone()),
        mean_corruption_error: own
            .iter()
            .map(|network| network.mean_corruption_error)
            .collect::<Option<Vec<f64>>>()
            .map(|errors| Spread::of(&errors)),
        attacks: first
            .attacks
            .keys()
            .map(|name| (name.clone(), curve(&|network: &NetworkResult| network.attacks[name].clone())))
            .collect(),
        minimal_perturbation: first.minimal_perturbation.keys().map(|name| (name.clone(), medians(name))).collect(),
    }
}
