//! The comparisons in the report: each condition with the baseline, on the same images and at the
//! same clean accuracy.

use super::{images, robustness};
use crate::adversarial::{BySeed, compare, labeled_batch, norm_name, over_seeds};
use crate::artifacts::{
    AtEqualAccuracy, Comparison, Difference, LevelDifference, NetworkResult, Point, Ratio,
};
use crate::config::Arm;
use crate::grid::Part;
use crate::run::Context;
use anyhow::Result;
use brainprior_robustness::{LabeledBatch, Norm, at_accuracy};
use std::collections::BTreeMap;

/// Learning rates are equal if they differ by no more than rounding.
const ROUNDING: f64 = 1e-9;

/// A result of a network.
type Figure<'a> = &'a dyn Fn(&NetworkResult) -> Option<f64>;

/// Compares every other condition with the baseline over the seeds measured for both; empty if
/// there is no baseline.
pub(super) fn all(context: &Context, networks: &[NetworkResult]) -> Result<Vec<Comparison>> {
    let training = &context.config.training;
    let Some(baseline) = training.baseline().filter(|_| !networks.is_empty()) else {
        return Ok(Vec::new());
    };
    let shorter = training.shorter();
    let controls: Vec<&str> = shorter.iter().chain([&baseline]).map(|arm| arm.name()).collect();
    let attacked =
        labeled_batch(&images::load(context)?.test, context.config.robustness.attack_images)?;
    let compared = |condition: &Arm| {
        let is_control = controls.contains(&condition.name());
        let matched = !shorter.is_empty() && !is_control;
        Ok(Comparison {
            condition: condition.name().to_owned(),
            baseline: baseline.name().to_owned(),
            minimal_perturbation: perturbations(
                context,
                condition,
                baseline,
                &attacked,
                &common(networks, condition, baseline),
            )?,
            at_equal_accuracy: matched
                .then(|| at_equal_accuracy(networks, condition.name(), &controls)),
        })
    };
    let others = training.conditions.iter().filter(|condition| *condition != baseline);
    others
        .filter(|condition| !common(networks, condition, baseline).is_empty())
        .map(compared)
        .collect()
}

/// The seeds that two conditions are measured for.
fn common(networks: &[NetworkResult], one: &Arm, other: &Arm) -> Vec<u64> {
    let has = |condition: &Arm, seed: u64| {
        networks.iter().any(|network| network.condition == condition.name() && network.seed == seed)
    };
    let seeds = networks
        .iter()
        .filter(|network| network.condition == one.name())
        .map(|network| network.seed);
    seeds.filter(|seed| has(other, *seed)).collect()
}

fn perturbations(
    context: &Context,
    condition: &Arm,
    baseline: &Arm,
    attacked: &LabeledBatch,
    seeds: &[u64],
) -> Result<BTreeMap<String, Ratio>> {
    let resampling = context.config.seed_of("comparison");
    let ratio = |norm| {
        let seeds: Result<BySeed> = seeds
            .iter()
            .map(|&seed| {
                let nearest = |condition| {
                    robustness::nearest(context, Part { condition, seed }, attacked, norm)
                };
                Ok((
                    seed,
                    compare(&nearest(condition)?, &nearest(baseline)?, attacked, resampling)?,
                ))
            })
            .collect();
        Ok((norm_name(norm).to_owned(), over_seeds(&seeds?)))
    };
    [Norm::Linf, Norm::L2].into_iter().map(ratio).collect()
}

/// Differences between a condition and the controls at equal clean accuracy, by seed.
fn at_equal_accuracy(
    networks: &[NetworkResult],
    condition: &str,
    controls: &[&str],
) -> AtEqualAccuracy {
    let own: Vec<&NetworkResult> =
        networks.iter().filter(|network| network.condition == condition).collect();
    let path = |network: &NetworkResult| -> Vec<&NetworkResult> {
        let same_seed = networks.iter().filter(|other| other.seed == network.seed);
        // A control with a higher final learning rate would differ in more than accuracy.
        let annealed = |control: &&NetworkResult| {
            controls.contains(&control.condition.as_str())
                && control.kept.learning_rate <= network.kept.learning_rate * (1.0 + ROUNDING)
        };
        same_seed.filter(annealed).collect()
    };
    let paths: Vec<(&NetworkResult, Vec<&NetworkResult>)> =
        own.into_iter().map(|network| (network, path(network))).collect();
    let difference = |clean: Figure, figure: Figure| -> Option<Difference> {
        let one = |(network, path): &(&NetworkResult, Vec<&NetworkResult>)| {
            let points: Option<Vec<(f64, f64)>> =
                path.iter().map(|control| Some((clean(control)?, figure(control)?))).collect();
            Some(figure(network)? - at_accuracy(&points?, clean(network)?)?)
        };
        let values: Vec<f64> = paths.iter().filter_map(one).collect();
        (!values.is_empty()).then(|| Difference::of(&values))
    };
    let levels = |clean: Figure,
                  of: &dyn Fn(&NetworkResult) -> Option<&Vec<Point>>|
     -> Vec<LevelDifference> {
        let levels =
            paths.first().and_then(|(network, _)| of(network)).into_iter().flatten().enumerate();
        let one = |(index, point): (usize, &Point)| LevelDifference {
            level: point.level,
            difference: difference(clean, &|network| Some(of(network)?[index].accuracy)),
        };
        levels.map(one).collect()
    };
    let outside = |(network, path): &&(&NetworkResult, Vec<&NetworkResult>)| {
        let clean: Vec<(f64, f64)> =
            path.iter().map(|control| (control.clean_accuracy, 0.0)).collect();
        at_accuracy(&clean, network.clean_accuracy).is_none()
    };
    let clean = |network: &NetworkResult| Some(network.clean_accuracy);
    let attacks = paths
        .first()
        .map(|(network, _)| network.attacks.keys().cloned().collect::<Vec<_>>())
        .unwrap_or_default();
    // Fewer images are attacked than tested under noise: match the accuracies on these.
    let attacked = |name: String| {
        let unharmed =
            |network: &NetworkResult| Some(network.attacks.get(&name)?.first()?.accuracy);
        let found = levels(&unharmed, &|network| network.attacks.get(&name));
        (name.clone(), found)
    };
    AtEqualAccuracy {
        controls: controls.iter().map(|name| (*name).to_owned()).collect(),
        seeds_outside: paths.iter().filter(outside).map(|(network, _)| network.seed).collect(),
        gaussian_noise: levels(&clean, &|network| Some(&network.gaussian_noise)),
        attacks: attacks.into_iter().map(attacked).collect(),
        mean_corruption_error: difference(&clean, &|network| network.mean_corruption_error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::{Kept, Validation};

    /// Accuracy on clean images and at noise 0.2, and the final learning rate.
    fn network(
        condition: &str,
        seed: u64,
        [clean, noisy, learning_rate]: [f64; 3],
    ) -> NetworkResult {
        let points =
            vec![Point { level: 0.0, accuracy: clean }, Point { level: 0.2, accuracy: noisy }];
        // The attacked images happen to be easy for the compared network.
        let easy = if CONTROLS.contains(&condition) { 0.0 } else { 0.125 };
        let attacked = vec![
            Point { level: 0.0, accuracy: clean + easy },
            Point { level: 0.2, accuracy: noisy + 0.5 * easy },
        ];
        NetworkResult {
            condition: condition.into(),
            seed,
            clean_accuracy: clean,
            gaussian_noise: points.clone(),
            validation: Validation {
                images: 9,
                clean_accuracy: clean,
                gaussian_noise: points.clone(),
            },
            corruptions: BTreeMap::new(),
            published_corruptions: false,
            mean_corruption_error: Some(1.0 - noisy),
            attacks: BTreeMap::from([("fgsm".into(), attacked)]),
            minimal_perturbation: BTreeMap::new(),
            masking: None,
            gamma: vec![],
            pair_correlation: None,
            pull: None,
            kept: Kept { epoch: 3, learning_rate },
        }
    }

    const CONTROLS: [&str; 3] = ["none epochs=2", "none epochs=5", "none"];

    #[test]
    fn a_network_on_the_baselines_own_path_gains_nothing() {
        // Noisy accuracy is half of clean accuracy for all controls.
        let path = [("none epochs=2", 0.25), ("none epochs=5", 0.5), ("none", 0.75)];
        let controls = path.map(|(name, clean)| network(name, 0, [clean, 0.5 * clean, 0.001]));
        let of = |clean: f64, noisy: f64| {
            let mut networks = controls.to_vec();
            networks.push(network("denoised", 0, [clean, noisy, 0.001]));
            at_equal_accuracy(&networks, "denoised", &CONTROLS)
        };
        let on_it = of(0.625, 0.3125);
        let values = |found: &AtEqualAccuracy| {
            let levels = found.gaussian_noise.iter().chain(&found.attacks["fgsm"]);
            levels
                .map(|level| level.difference.as_ref().unwrap().over_seeds.mean)
                .collect::<Vec<_>>()
        };
        assert_eq!((values(&on_it), on_it.seeds_outside.len()), (vec![0.0; 4], 0));
        let above = of(0.625, 0.4375);
        assert_eq!(values(&above), [0.0, 0.125, 0.0, 0.125]);
        assert_eq!(above.mean_corruption_error.unwrap().over_seeds.mean, -0.125);
        assert!(
            above.gaussian_noise[1].difference.as_ref().unwrap().half_width.is_none(),
            "one seed has no interval"
        );
    }

    #[test]
    fn nothing_is_extrapolated_and_the_seeds_that_are_left_out_are_named() {
        let mut networks = Vec::new();
        for (seed, clean) in [(0, 0.5), (1, 0.125), (2, 0.5)] {
            networks.push(network("none epochs=2", seed, [0.25, 0.125, 0.001]));
            networks.push(network("none", seed, [0.75, 0.375, 0.001]));
            networks.push(network("denoised", seed, [clean, 0.375, 0.001]));
        }
        let found = at_equal_accuracy(&networks, "denoised", &CONTROLS);
        assert_eq!(found.seeds_outside, [1]);
        let noisy = found.gaussian_noise[1].difference.as_ref().unwrap();
        assert_eq!(
            (noisy.over_seeds.values.as_slice(), noisy.half_width),
            ([0.125, 0.125].as_slice(), Some(0.0))
        );
    }

    #[test]
    fn no_control_stands_at_a_higher_learning_rate_than_the_network_that_it_is_compared_with() {
        let networks = [
            network("none epochs=2", 0, [0.25, 0.125, 0.001]),
            // Taken after a restart of the learning rate: much better under noise than at the end.
            network("none epochs=5", 0, [0.5, 0.5, 0.1]),
            network("none", 0, [0.75, 0.375, 0.001]),
            network("denoised", 0, [0.5, 0.25, 0.001]),
        ];
        let found = at_equal_accuracy(&networks, "denoised", &CONTROLS);
        assert_eq!(found.gaussian_noise[1].difference.as_ref().unwrap().over_seeds.mean, 0.0);
    }
}
