//! Tables made from records: every condition, and its difference from the baseline of the same
//! seed.

use super::NetworkRecord;
use crate::adversarial::{BySeed, RESAMPLES, over_seeds};
use crate::artifacts::{Difference, NetworkResult, Ratio, Spread, each_once, mean_over_families};
use crate::config::Target;
use crate::table;
use anyhow::{Result, ensure};
use brainprior_images::is_in_mean;
use brainprior_robustness::{Corruption, Perturbation, paired_ratio_of};
use std::path::Path;

/// Tables, in Markdown, of the records in `folder`; differences are those to the condition
/// `baseline` of the same seed.
///
/// # Errors
/// Returns an error if the folder has no records, a record cannot be read, or no record has the
/// condition `baseline`.
pub fn tables(folder: &Path, baseline: &str) -> Result<String> {
    of_records(&super::read(folder)?, baseline)
}

fn of_records(records: &[NetworkRecord], baseline: &str) -> Result<String> {
    let known = each_once(records.iter().map(|record| record.figures.condition.as_str()));
    ensure!(
        baseline == Target::None.name() || known.contains(&baseline),
        "--baseline {baseline}: no record has that condition; the records have {}",
        known.join(", ")
    );
    let levels = levels(records)?;
    let experiments = each_once(records.iter().map(|record| record.experiment.as_str()));
    let mut text = String::new();
    for experiment in experiments {
        let own: Vec<&NetworkRecord> =
            records.iter().filter(|record| record.experiment == experiment).collect();
        text += &format!("### {experiment}\n\n{}\n", of_experiment(&own, &levels, baseline));
    }
    Ok(text)
}

pub(super) fn levels(records: &[NetworkRecord]) -> Result<Vec<f64>> {
    let of = |record: &NetworkRecord| {
        record.figures.gaussian_noise.iter().map(|point| point.level).collect::<Vec<_>>()
    };
    let levels = records.first().map(of).unwrap_or_default();
    for record in records {
        ensure!(
            of(record) == levels,
            "{} of seed {}: noise levels {:?}, but other records have {levels:?}; keep experiments with different levels in different folders",
            record.figures.condition,
            record.figures.seed,
            of(record)
        );
    }
    Ok(levels)
}

/// All conditions, `first` before the others.
pub(super) fn conditions<'a>(
    records: impl Iterator<Item = &'a NetworkRecord>,
    first: &str,
) -> Vec<&'a str> {
    let mut conditions = each_once(records.map(|record| record.figures.condition.as_str()));
    conditions.sort_by_key(|condition| *condition != first);
    conditions
}

fn of_experiment(records: &[&NetworkRecord], levels: &[f64], reference: &str) -> String {
    let conditions = conditions(records.iter().copied(), reference);
    let of = |condition: &str| -> Vec<&NetworkRecord> {
        records.iter().filter(|record| record.figures.condition == condition).copied().collect()
    };
    let figures = figures(levels);
    let mut header = vec!["condition".to_owned(), "seeds".into()];
    header.extend(figures.iter().map(|(name, ..)| name.clone()));
    let mut rows = vec![header.clone()];
    for condition in &conditions {
        let mut row = vec![(*condition).to_owned(), of(condition).len().to_string()];
        for (_, scale, figure) in &figures {
            let values: Option<Vec<f64>> =
                of(condition).iter().map(|record| figure(&record.figures)).collect();
            row.push(values.map_or("–".into(), |values| {
                table::over_seeds(&Spread::of(&values), *scale, 1, "")
            }));
        }
        rows.push(row);
    }
    let mut text = format!("{}\n", markdown(&rows));

    let norms: Vec<&String> =
        records.first().map(|record| record.distances.keys().collect()).unwrap_or_default();
    header.extend(norms.iter().map(|norm| format!("min. {norm}, times baseline")));
    let mut rows = vec![header];
    let mut alone = Vec::new();
    for condition in conditions.iter().filter(|condition| **condition != reference) {
        let mut pairs = Vec::new();
        for record in of(condition) {
            match of(reference).into_iter().find(|baseline| are_a_pair(record, baseline)) {
                Some(baseline) => pairs.push((record, baseline)),
                None => alone.push(format!("{condition}, seed {}", record.figures.seed)),
            }
        }
        if pairs.is_empty() {
            continue;
        }
        let mut row = vec![format!("{condition} minus {reference}"), pairs.len().to_string()];
        for (_, scale, figure) in &figures {
            let differences: Option<Vec<f64>> = pairs
                .iter()
                .map(|(record, baseline)| {
                    Some(figure(&record.figures)? - figure(&baseline.figures)?)
                })
                .collect();
            row.push(table::points(
                differences.map(|values| Difference::of(&values)).as_ref(),
                *scale,
                1,
            ));
        }
        row.extend(norms.iter().map(|norm| table::ratio(&ratio(&pairs, norm))));
        rows.push(row);
    }
    if rows.len() > 1 {
        text += &format!("Paired by seed:\n\n{}\n", markdown(&rows));
    }
    if !alone.is_empty() {
        text += &format!(
            "Without a baseline of the same seed, images, precision, instructions and measurement: {}.\n\n",
            alone.join("; ")
        );
    }
    let mut made: Vec<String> = records
        .iter()
        .map(|record| {
            format!(
                "{} on {}",
                record.commit.as_deref().unwrap_or("an unknown commit"),
                record.processor
            )
        })
        .collect();
    made.sort();
    made.dedup();
    text + &format!(
        "Accuracies and errors are in percent, their differences in percentage points. {} Program and processor: {}.\n",
        table::OVER_SEEDS,
        made.join("; ")
    )
}

/// Whether two networks differ only in their condition: same training seed, images, arithmetic and
/// measurements.
fn are_a_pair(record: &NetworkRecord, baseline: &NetworkRecord) -> bool {
    let lengths = |record: &NetworkRecord| {
        record.distances.iter().map(|(norm, all)| (norm.clone(), all.len())).collect::<Vec<_>>()
    };
    record.key.seed() == baseline.key.seed()
        && record.key.device() == baseline.key.device()
        && record.key.inputs_of("images") == baseline.key.inputs_of("images")
        && record.measurement == baseline.measurement
        && lengths(record) == lengths(baseline)
}

/// The columns: name, factor, and value.
fn figures(levels: &[f64]) -> Vec<(String, f64, Box<dyn Fn(&NetworkResult) -> Option<f64> + '_>)> {
    let mut figures: Vec<(String, f64, Box<dyn Fn(&NetworkResult) -> Option<f64>>)> = vec![
        ("validation".into(), 100.0, Box::new(|network| Some(network.validation.clean_accuracy))),
        ("clean".into(), 100.0, Box::new(|network| Some(network.clean_accuracy))),
    ];
    for (index, level) in levels.iter().enumerate().filter(|(_, level)| **level > 0.0) {
        figures.push((
            format!("noise {level:.2}"),
            100.0,
            Box::new(move |network| Some(network.gaussian_noise.get(index)?.accuracy)),
        ));
    }
    figures.push(("corruption error, 14 families".into(), 100.0, Box::new(main_error)));
    figures
}

/// The corruptions of CIFAR-10-C's mean that need no photographs: all but frost.
fn main_families() -> impl Iterator<Item = &'static str> {
    Corruption::ALL.into_iter().map(Corruption::name).filter(|family| is_in_mean(family))
}

/// Mean over these corruptions and severities; `None` if one was not measured.
fn main_error(network: &NetworkResult) -> Option<f64> {
    let errors: Vec<&[f64; 5]> =
        main_families().map(|family| network.corruptions.get(family)).collect::<Option<_>>()?;
    mean_over_families(errors.into_iter())
}

fn ratio(pairs: &[(&NetworkRecord, &NetworkRecord)], norm: &str) -> Ratio {
    let perturbations = |record: &NetworkRecord| -> Vec<Perturbation> {
        let known = |size: &Option<f64>| {
            size.map_or(Perturbation::Censored(f64::INFINITY), Perturbation::Found)
        };
        record.distances[norm].iter().map(known).collect()
    };
    let of_seed = |(record, baseline): &(&NetworkRecord, &NetworkRecord)| {
        let found = paired_ratio_of(
            &perturbations(record),
            &perturbations(baseline),
            RESAMPLES,
            record.key.seed(),
        );
        (record.figures.seed, found.ok())
    };
    let seeds: BySeed = pairs.iter().map(of_seed).collect();
    over_seeds(&seeds)
}

fn markdown(rows: &[Vec<String>]) -> String {
    let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = rows
        .first()
        .map_or(String::new(), |header| format!("|---|{}\n", "---:|".repeat(header.len() - 1)));
    rows.iter()
        .enumerate()
        .map(|(index, row)| if index == 0 { line(row) + &rule } else { line(row) })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::artifacts::{Kept, Point, Validation};
    use crate::records::Measurement;
    use crate::run::Key;
    use std::collections::BTreeMap;

    /// Accuracy on clean images and at noise 0.2.
    pub(in crate::records) fn record(
        condition: &str,
        seed: u64,
        [clean, noisy]: [f64; 2],
        distances: &[f64],
    ) -> NetworkRecord {
        let points =
            vec![Point { level: 0.0, accuracy: clean }, Point { level: 0.2, accuracy: noisy }];
        NetworkRecord {
            format: super::super::FORMAT.into(),
            version: super::super::VERSION,
            experiment: "claim".into(),
            commit: Some("c0ffee".into()),
            processor: "a processor".into(),
            config_hash: String::new(),
            key: Key::new("train/x", condition, 100 + seed).input("images/images.safetensors", "1"),
            measurement: Measurement { settings: serde_json::json!({ "passes": 400 }), seed: 7 },
            training_seconds: 1.0,
            figures: NetworkResult {
                condition: condition.into(),
                seed,
                clean_accuracy: clean,
                gaussian_noise: points.clone(),
                validation: Validation { images: 9, clean_accuracy: clean, gaussian_noise: points },
                corruptions: main_families()
                    .map(|family| (family.to_owned(), [1.0 - noisy; 5]))
                    .collect(),
                published_corruptions: false,
                mean_corruption_error: None,
                attacks: BTreeMap::new(),
                minimal_perturbation: BTreeMap::new(),
                masking: None,
                gamma: vec![],
                pair_correlation: None,
                pull: None,
                kept: Kept { epoch: 1, learning_rate: 0.1 },
            },
            distances: BTreeMap::from([(
                "l2".into(),
                distances.iter().map(|size| Some(*size)).collect(),
            )]),
        }
    }

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("no line {start} in {text}"))
    }

    #[test]
    fn conditions_are_compared_within_each_seed() {
        // Seeds differ by 20 points, conditions by 5 within each seed: pairing removes the
        // difference between seeds.
        let mut records = Vec::new();
        for (seed, clean) in [(0, 0.5), (1, 0.6), (2, 0.7)] {
            records.push(record("none", seed, [clean, clean - 0.25], &[0.25, 0.5, 0.0]));
            records.push(record("denoised", seed, [clean - 0.05, clean], &[0.5, 1.0, 0.7]));
        }
        let text = of_records(&records, "none").unwrap();
        assert_eq!(
            line(&text, "| denoised minus none"),
            "| denoised minus none | 3 | -5.0 ± 0.0 | -5.0 ± 0.0 | +25.0 ± 0.0 | -25.0 ± 0.0 | 2.00 [2.00, 2.00] |"
        );
        assert!(line(&text, "| none |").contains("60.0 ± 24.8"), "{text}");
        assert!(!text.contains("Without a baseline"));
        let other = of_records(&records, "denoised").unwrap();
        assert!(line(&other, "| none minus denoised").contains("| +5.0 ± 0.0 |"), "{other}");
        let error = of_records(&records, "blur").unwrap_err().to_string();
        assert!(
            error.contains(
                "--baseline blur: no record has that condition; the records have none, denoised"
            ),
            "{error}"
        );
    }

    #[test]
    fn the_fourteen_families_of_the_mean_are_those_without_photographs() {
        let families: Vec<&str> = main_families().collect();
        assert_eq!(families.len(), 14);
        assert!(
            ["speckle_noise", "gaussian_blur", "frost"]
                .iter()
                .all(|extra| !families.contains(extra)),
            "{families:?}"
        );
    }

    #[test]
    fn each_experiment_has_one_section_whatever_the_order_of_its_files() {
        let of = |experiment: &str, condition: &str| {
            let record = record(condition, 0, [0.5, 0.25], &[0.25]);
            NetworkRecord { experiment: experiment.into(), ..record }
        };
        let text =
            of_records(&[of("claim", "a"), of("claim-b", "none"), of("claim", "none")], "none")
                .unwrap();
        assert_eq!(
            text.lines().filter(|line| line.starts_with("###")).collect::<Vec<_>>(),
            ["### claim", "### claim-b"]
        );
    }

    #[test]
    fn networks_of_another_seed_or_arithmetic_or_other_images_are_no_pair() {
        let baseline = record("none", 0, [0.5, 0.25], &[0.25]);
        let other_seed = record("denoised", 1, [0.5, 0.25], &[0.25]);
        let mut mixed = record("pixels", 0, [0.5, 0.25], &[0.25]);
        mixed.key = mixed.key.in_precision(brainprior_kernels::Precision::Mixed);
        let mut images = record("random", 0, [0.5, 0.25], &[0.25]);
        images.key = Key::new("train/x", "random", 100).input("images/images.safetensors", "2");
        let mut attacked = record("blurred", 0, [0.5, 0.25], &[0.25]);
        attacked.measurement.settings = serde_json::json!({ "passes": 800 });
        let text = of_records(&[baseline, other_seed, mixed, images, attacked], "none").unwrap();
        assert!(!text.contains("minus none"), "{text}");
        assert!(
            line(&text, "Without a baseline")
                .ends_with("denoised, seed 1; pixels, seed 0; random, seed 0; blurred, seed 0."),
            "{text}"
        );
    }

    #[test]
    fn other_levels_of_noise_are_refused() {
        let mut other = record("denoised", 0, [0.5, 0.25], &[0.25]);
        other.figures.gaussian_noise[1].level = 0.3;
        let error = of_records(&[record("none", 0, [0.5, 0.25], &[0.25]), other], "none")
            .unwrap_err()
            .to_string();
        assert!(error.contains("denoised of seed 0: noise levels [0.0, 0.3]"), "{error}");
    }
}
