//! Planted results: the sentences must say what was planted.

use super::*;
use crate::artifacts::{
    Comparison, Kept, Masking, MaskingSign, Point, Ratio, ScanResult, SeedRatio,
    SimilarityAgreement, SimilarityToOtherRepeats, Validation, summarize,
};
use std::collections::BTreeMap;

fn network(condition: &str, seed: u64, noisy: f64) -> NetworkResult {
    let points = vec![Point { level: 0.0, accuracy: 0.75 }, Point { level: 0.2, accuracy: noisy }];
    NetworkResult {
        condition: condition.into(),
        seed,
        clean_accuracy: 0.75,
        gaussian_noise: points.clone(),
        validation: Validation { images: 9, clean_accuracy: 0.75, gaussian_noise: points },
        corruptions: BTreeMap::new(),
        published_corruptions: false,
        mean_corruption_error: None,
        attacks: BTreeMap::new(),
        minimal_perturbation: BTreeMap::new(),
        masking: None,
        gamma: vec![],
        pair_correlation: None,
        pull: None,
        kept: Kept { epoch: 3, learning_rate: 0.1 },
    }
}

fn scan(name: &str, denoised: [f64; 3], single: [f64; 3]) -> ScanResult {
    let of = |[correlation, low, high]: [f64; 3]| {
        Some(SimilarityAgreement {
            correlation,
            low: Some(low),
            high: Some(high),
            slope: 1.0,
            spread_ratio: 1.0,
        })
    };
    ScanResult {
        name: name.into(),
        neurons: 1,
        trials: 1,
        images: 1,
        oracle_images: 1,
        excluded_neurons: 0,
        oracle: None,
        test_correlation: None,
        correlation_to_average: None,
        fraction_oracle: None,
        feve: None,
        shares: None,
        verdict: None,
        standardized_over: String::new(),
        similarity_to_truth: None,
        similarity_to_other_repeats: SimilarityToOtherRepeats {
            single_trials: of(single),
            denoised: of(denoised),
            combined: None,
        },
        similarity_weightings: vec![],
    }
}

/// Noisy accuracy of each condition by seed, and the ratio of its smallest perturbations to those
/// of the first.
fn results(conditions: &[(&str, &[f64], f64)]) -> Results {
    let of = |(name, noisy, _): &(&str, &[f64], f64)| -> Vec<NetworkResult> {
        noisy.iter().enumerate().map(|(seed, noisy)| network(name, seed as u64, *noisy)).collect()
    };
    let networks: Vec<NetworkResult> = conditions.iter().flat_map(of).collect();
    let compared = |(name, noisy, ratio): &(&str, &[f64], f64)| {
        let seed = |seed: usize| SeedRatio {
            seed: seed as u64,
            ratio: Some(*ratio),
            low: None,
            high: None,
            images: 9,
            censored: [0; 3],
        };
        let interval = (noisy.len() > 1).then_some((0.9 * ratio, 1.1 * ratio));
        let ratio = Ratio {
            ratio: Some(*ratio),
            low: interval.map(|interval| interval.0),
            high: interval.map(|interval| interval.1),
            seeds: (0..noisy.len()).map(seed).collect(),
        };
        Comparison {
            condition: (*name).into(),
            baseline: "none".into(),
            minimal_perturbation: BTreeMap::from([("l2".into(), ratio)]),
            at_equal_accuracy: None,
        }
    };
    Results {
        format: String::new(),
        version: 0,
        name: String::new(),
        crate_version: String::new(),
        config_hash: String::new(),
        seed: 0,
        device: String::new(),
        scans: vec![],
        weights: None,
        targets: vec![],
        conditions: summarize(&networks),
        networks,
        comparisons: conditions.iter().skip(1).map(compared).collect(),
    }
}

fn answered(results: &Results) -> Answer {
    let design = Design {
        conditions: vec![],
        simulated: true,
        procedural: true,
        test_images: 1000,
        attacked_images: 100,
    };
    answer(results, &design)
}

/// Sign and sentence of each finding.
fn seen(answer: &Answer) -> Vec<(&'static str, &str)> {
    answer
        .seen
        .iter()
        .map(|(sign, sentence)| (sign.expect("it is marked").1, sentence.as_str()))
        .collect()
}

const NONE: &[f64] = &[0.5, 0.51, 0.49];

#[test]
fn a_gain_over_baseline_and_control_is_a_gain() {
    let answer = answered(&results(&[
        ("none", NONE, 1.0),
        ("denoised", &[0.6, 0.61, 0.6], 1.5),
        ("shuffled", NONE, 1.0),
    ]));
    assert!(answer.headline.contains(
        "denoised is more accurate than none, and more accurate than the control shuffled"
    ));
    let seen = seen(&answer);
    assert_eq!(seen[0].0, "more");
    // 10.33 points; 4.303 standard errors of 0.58 / sqrt(3).
    let wanted = "Under Gaussian noise of 0.20, denoised is 10.3 points of accuracy above none (95% interval over 3 seeds: +8.9 to +11.8).";
    assert_eq!(seen[0].1, wanted);
    assert_eq!(
        (seen[1].0, seen[2].0),
        ("more", "undecided"),
        "shuffled, and clean images on which all are equal"
    );
    assert!(seen[3].1.contains(
        "(L2) that mislead denoised are 1.50 times as large as those of none (95% interval over 3 seeds: 1.35 to 1.65)"
    ));
    assert!(
        answer.compared[0].contains("3 conditions: none, denoised and shuffled; 3 networks each"),
        "{}",
        answer.compared[0]
    );
    assert!(
        answer.compared.iter().any(
            |sentence| sentence.contains("1000 test images, the smallest perturbations on 100")
        )
    );
}

#[test]
fn a_gain_that_the_control_has_as_well_is_not_put_down_to_the_neurons() {
    let gained: &[f64] = &[0.6, 0.61, 0.6];
    let answer = answered(&results(&[
        ("none", NONE, 1.0),
        ("denoised", gained, 1.5),
        ("shuffled", gained, 1.5),
    ]));
    assert!(
        answer.headline.contains("not shown to be more accurate than the control"),
        "{}",
        answer.headline
    );
    let without = answered(&results(&[("none", NONE, 1.0), ("denoised", gained, 1.5)]));
    assert!(without.headline.contains("Without a control"), "{}", without.headline);
    assert!(without.limits.iter().any(|limit| limit.contains("no condition shuffled")));
}

#[test]
fn a_loss_is_said_to_be_one() {
    let answer = answered(&results(&[("none", NONE, 1.0), ("denoised", &[0.4, 0.41, 0.4], 0.5)]));
    assert_eq!(answer.headline, "Under noise, denoised is less accurate than none.");
    let seen = seen(&answer);
    assert!(
        seen[0].0 == "less" && seen[0].1.contains("9.7 points of accuracy below none"),
        "{}",
        seen[0].1
    );
    assert_eq!(seen[2].0, "less", "smaller perturbations");
}

#[test]
fn an_interval_that_holds_no_difference_decides_nothing() {
    let answer = answered(&results(&[("none", NONE, 1.0), ("denoised", &[0.52, 0.6, 0.5], 1.05)]));
    assert_eq!(
        answer.headline,
        "This run does not decide whether denoised is more accurate than none under noise."
    );
    let seen = seen(&answer);
    assert!(
        seen[0].0 == "undecided" && seen[0].1.contains("the interval includes zero"),
        "{}",
        seen[0].1
    );
    assert!(seen[0].1.ends_with("It is ahead with each of the 3 seeds."), "{}", seen[0].1);
    assert!(answer.limits[0].contains("does not mean equal"));
}

#[test]
fn one_and_two_seeds_show_nothing_and_have_no_interval() {
    let one = answered(&results(&[("none", &[0.5], 1.0), ("denoised", &[0.9], 2.0)]));
    assert_eq!(
        one.headline,
        "One seed cannot show whether denoised is more accurate than none under noise."
    );
    assert!(
        seen(&one).iter().all(|(sign, sentence)| *sign == "one seed" && !sentence.contains("95%")),
        "{:?}",
        seen(&one)
    );
    let two = answered(&results(&[("none", &[0.5, 0.5], 1.0), ("denoised", &[0.9, 0.8], 2.0)]));
    assert!(two.headline.starts_with("Two seeds cannot show"));
    assert_eq!(
        seen(&two)[0].1,
        "Under Gaussian noise of 0.20, denoised minus none is +40.0 points of accuracy with one seed and +30.0 with the other."
    );
    assert!(two.limits.iter().any(|limit| limit.contains("training.seeds")));
}

#[test]
fn a_run_without_two_conditions_has_nothing_to_compare() {
    let answer = answered(&results(&[]));
    assert!(
        answer.headline.contains("No network has been evaluated yet")
            && answer.seen.is_empty()
            && answer.limits.is_empty()
    );
    assert!(answered(&results(&[("none", NONE, 1.0)])).headline.contains("Only one condition"));
}

#[test]
fn masking_and_simulation_are_named_as_limits() {
    let mut results = results(&[("none", NONE, 1.0), ("denoised", NONE, 1.0)]);
    let masking = Masking {
        epsilon: 0.1,
        images: 9,
        sign: MaskingSign::Found,
        verdict: String::new(),
        checks: vec![],
    };
    results.networks[4].masking = Some(masking);
    let limits = answered(&results).limits.join(" ");
    assert!(limits.contains("found signs of gradient masking in denoised, seed 1:"), "{limits}");
    assert!(limits.contains("Scans are simulated and images are procedural"), "{limits}");
}

#[test]
fn the_denoised_target_is_trusted_as_far_as_it_is_nearer_than_a_trial() {
    let verdict = |scans: Vec<ScanResult>| {
        let mut results = results(&[]);
        results.scans = scans;
        let (sign, sentence) = answered(&results).trust.remove(0);
        (sign.unwrap().1, sentence)
    };
    let clear = || scan("a", [0.7, 0.65, 0.75], [0.5, 0.45, 0.55]);
    let overlapping = || scan("b", [0.6, 0.5, 0.7], [0.5, 0.4, 0.6]);
    let worse = || scan("c", [0.3, 0.2, 0.4], [0.5, 0.4, 0.6]);
    assert_eq!(verdict(vec![clear()]).0, "yes");
    assert_eq!(verdict(vec![clear(), overlapping()]).0, "probably");
    let (sign, sentence) = verdict(vec![clear(), worse()]);
    assert!(
        sign == "in part" && sentence.contains("a single trial in a, but not in the other scans"),
        "{sentence}"
    );
    let (sign, sentence) = verdict(vec![worse()]);
    assert!(sign == "no" && sentence.contains("use target raw"), "{sentence}");
    assert_eq!(verdict(vec![]).0, "not known");
}
