//! Networks of one condition summarized over seeds.

use super::{NetworkResult, Point, Pull, SetBy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    /// Standard deviation with ddof 1; absent for a single seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standard_deviation: Option<f64>,
    /// The value of each seed, in order.
    pub(crate) values: Vec<f64>,
}

impl Spread {
    /// Summarizes the values of the seeds, of which there is at least one.
    pub(crate) fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let standard_deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Self { mean, standard_deviation, values: values.to_vec() }
    }

    /// Half width of a band about the mean: up to both values for two seeds, one standard deviation
    /// for more, 0 for one.
    pub(crate) fn band(&self) -> f64 {
        match (self.values.as_slice(), self.standard_deviation) {
            ([one, other], _) => 0.5 * (one - other).abs(),
            (_, deviation) => deviation.unwrap_or(0.0),
        }
    }
}

/// Accuracy over seeds at one level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LevelSummary {
    pub(crate) level: f64,
    pub(crate) accuracy: Spread,
    /// Accuracy divided by clean accuracy of the same network.
    pub(crate) retention: Spread,
}

/// Accuracy over seeds at one level.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LevelAccuracy {
    pub(crate) level: f64,
    pub(crate) accuracy: Spread,
}

/// A condition on the validation images, over its seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ValidationSummary {
    pub(crate) clean_accuracy: Spread,
    pub(crate) gaussian_noise: Vec<LevelAccuracy>,
}

/// Strength of a condition's target, over its seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PullSummary {
    /// Which of the two was set.
    pub(crate) set: SetBy,
    pub(crate) alpha: Spread,
    pub(crate) force: Spread,
}

/// A condition over its seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConditionSummary {
    pub(crate) condition: String,
    pub(crate) seeds: usize,
    pub(crate) clean_accuracy: Spread,
    pub(crate) gaussian_noise: Vec<LevelSummary>,
    /// Results on validation images, by which choices are made.
    pub(crate) validation: ValidationSummary,
    /// Absent without a target.
    pub(crate) pull: Option<PullSummary>,
    /// Absent if corruptions were not measured.
    pub(crate) mean_corruption_error: Option<Spread>,
    pub(crate) attacks: BTreeMap<String, Vec<LevelSummary>>,
    pub(crate) minimal_perturbation: BTreeMap<String, Option<Spread>>,
}

/// Distinct names in order of first appearance.
pub(crate) fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut order: Vec<&str> = Vec::new();
    for name in names {
        if !order.contains(&name) {
            order.push(name);
        }
    }
    order
}

/// Summarizes the networks of each condition, in order of first appearance.
pub(crate) fn summarize(networks: &[NetworkResult]) -> Vec<ConditionSummary> {
    let conditions = each_once(networks.iter().map(|network| network.condition.as_str()));
    conditions.into_iter().map(|condition| summarize_one(condition, networks)).collect()
}

fn summarize_one(condition: &str, networks: &[NetworkResult]) -> ConditionSummary {
    let own: Vec<&NetworkResult> =
        networks.iter().filter(|network| network.condition == condition).collect();
    let first = own[0];
    let curve = |points: &dyn Fn(&NetworkResult) -> Vec<Point>| -> Vec<LevelSummary> {
        let curves: Vec<Vec<Point>> = own.iter().map(|network| points(network)).collect();
        (0..curves[0].len())
            .map(|index| {
                let accuracy: Vec<f64> = curves.iter().map(|curve| curve[index].accuracy).collect();
                let retention: Vec<f64> = accuracy
                    .iter()
                    .zip(&own)
                    .map(|(accuracy, network)| {
                        if network.clean_accuracy > 0.0 {
                            accuracy / network.clean_accuracy
                        } else {
                            0.0
                        }
                    })
                    .collect();
                LevelSummary {
                    level: curves[0][index].level,
                    accuracy: Spread::of(&accuracy),
                    retention: Spread::of(&retention),
                }
            })
            .collect()
    };
    let over = |figure: &dyn Fn(&NetworkResult) -> f64| {
        Spread::of(&own.iter().map(|network| figure(network)).collect::<Vec<_>>())
    };
    let held_back = |index: usize| LevelAccuracy {
        level: first.validation.gaussian_noise[index].level,
        accuracy: over(&|network| network.validation.gaussian_noise[index].accuracy),
    };
    let pulls: Option<Vec<Pull>> = own.iter().map(|network| network.pull).collect();
    let pull = |pulls: Vec<Pull>| PullSummary {
        set: pulls[0].set,
        alpha: Spread::of(&pulls.iter().map(|pull| pull.alpha).collect::<Vec<_>>()),
        force: Spread::of(&pulls.iter().map(|pull| pull.force).collect::<Vec<_>>()),
    };
    let medians = |name: &String| -> Option<Spread> {
        let values: Option<Vec<f64>> =
            own.iter().map(|network| network.minimal_perturbation[name].median).collect();
        values.map(|values| Spread::of(&values))
    };
    ConditionSummary {
        condition: condition.to_owned(),
        seeds: own.len(),
        clean_accuracy: over(&|network| network.clean_accuracy),
        gaussian_noise: curve(&|network| network.gaussian_noise.clone()),
        validation: ValidationSummary {
            clean_accuracy: over(&|network| network.validation.clean_accuracy),
            gaussian_noise: (0..first.validation.gaussian_noise.len()).map(held_back).collect(),
        },
        pull: pulls.map(pull),
        mean_corruption_error: own
            .iter()
            .map(|network| network.mean_corruption_error)
            .collect::<Option<Vec<f64>>>()
            .map(|errors| Spread::of(&errors)),
        attacks: first
            .attacks
            .keys()
            .map(|name| {
                (name.clone(), curve(&|network: &NetworkResult| network.attacks[name].clone()))
            })
            .collect(),
        minimal_perturbation: first
            .minimal_perturbation
            .keys()
            .map(|name| (name.clone(), medians(name)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_seed_has_no_standard_deviation() {
        let one = Spread::of(&[0.3]);
        assert_eq!((one.mean, one.standard_deviation, one.band()), (0.3, None, 0.0));
        assert_eq!(serde_json::to_string(&one).unwrap(), r#"{"mean":0.3,"values":[0.3]}"#);
        assert_eq!(serde_json::from_str::<Spread>(r#"{"mean":0.3,"values":[0.3]}"#).unwrap(), one);
    }

    #[test]
    fn a_band_spans_both_of_two_seeds_and_one_standard_deviation_of_more() {
        let two = Spread::of(&[0.25, 0.75]);
        assert_eq!((two.mean - two.band(), two.mean + two.band()), (0.25, 0.75));
        let three = Spread::of(&[1.0, 2.0, 3.0]);
        assert_eq!((three.standard_deviation, three.band()), (Some(1.0), 1.0));
    }
}
