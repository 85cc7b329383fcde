//! The results as a table, for the terminal and the report.

use crate::artifacts::{
    ConditionSummary, Difference, LevelSummary, PullSummary, Ratio, Results, SetBy, Spread,
};
use brainprior_robustness::half_width_of_mean;

/// Noise levels shown in tables; the nearest measured level is used.
const SHOWN: [f64; 3] = [0.1, 0.2, 0.3];

/// How values over seeds appear in tables.
pub(crate) const OVER_SEEDS: &str = "Tables show both values for two seeds, and the mean with its 95% interval (Student's t) for three or more.";

/// Legend of the columns of [`headline`].
pub(crate) const COLUMNS: &str = "Accuracy under Gaussian noise, images in [0, 1]. Mean corruption error: the plain mean over corruptions and \
     severities. Times baseline: ratio of the smallest perturbations to the baseline's, median over the images \
     that both classify correctly.";

/// The table on the terminal, followed by a text.
pub(crate) fn result(results: &Results) -> String {
    match results.conditions.is_empty() {
        true => String::new(),
        false => {
            let matched = matched(results).map_or(String::new(), |line| line + "\n");
            let published = match results
                .networks
                .iter()
                .any(|network| network.published_corruptions)
            {
                true => {
                    "Corruption errors are measured on the published images (images.corrupted).\n"
                }
                false => "",
            };
            format!(
                "{}\n{COLUMNS}\n{published}{OVER_SEEDS}\n{matched}",
                aligned(&headline(results))
            )
        }
    }
}

/// Whether targets are matched in alpha or force; `None` if fewer than two are compared.
pub(crate) fn matched(results: &Results) -> Option<String> {
    let pulls: Vec<&PullSummary> =
        results.conditions.iter().filter_map(|condition| condition.pull.as_ref()).collect();
    let [first, _, ..] = pulls.as_slice() else { return None };
    let same = |of: fn(&PullSummary) -> &Spread| {
        let wanted = of(first).mean;
        pulls.iter().all(|pull| (of(pull).mean - wanted).abs() <= 1e-6 * wanted.abs())
    };
    let about = "force is alpha times the mean of arctanh(target)^2 over pairs";
    Some(match (same(|pull| &pull.force), same(|pull| &pull.alpha)) {
        (true, _) => format!("All targets have the same force ({about})."),
        (false, true) => {
            format!("All targets have the same alpha, but not the same force ({about}).")
        }
        (false, false) => format!("Targets differ in alpha and force ({about})."),
    })
}

/// The force of a target and its alpha.
fn pull(found: Option<&PullSummary>) -> String {
    match found {
        None => "–".into(),
        Some(PullSummary { set: SetBy::Alpha, alpha, force }) => {
            format!("{:.3} (alpha {})", force.mean, alpha.mean)
        }
        Some(PullSummary { set: SetBy::Force, alpha, force }) => {
            format!("{} (alpha {:.3})", force.mean, alpha.mean)
        }
    }
}

/// A header and one line per condition: accuracy on clean and noisy images, mean corruption error,
/// and the ratio of its smallest perturbations to the baseline's.
pub(crate) fn headline(results: &Results) -> Vec<Vec<String>> {
    let Some(first) = results.conditions.first() else { return Vec::new() };
    let levels = shown(&first.gaussian_noise);
    let mut header = vec!["condition".to_owned(), "seeds".into(), "force".into(), "clean".into()];
    header.extend(
        levels.iter().map(|index| format!("noise {:.2}", first.gaussian_noise[*index].level)),
    );
    header.push("mean corruption error".into());
    let norms: Vec<&String> = results
        .comparisons
        .first()
        .into_iter()
        .flat_map(|found| found.minimal_perturbation.keys())
        .collect();
    header.extend(norms.iter().map(|norm| format!("min. {norm}, times baseline")));
    let row = |condition: &ConditionSummary| {
        let mut row = vec![
            condition.condition.clone(),
            condition.seeds.to_string(),
            pull(condition.pull.as_ref()),
        ];
        row.push(percent(&condition.clean_accuracy));
        row.extend(levels.iter().map(|index| percent(&condition.gaussian_noise[*index].accuracy)));
        row.push(
            condition
                .mean_corruption_error
                .as_ref()
                .map_or("–".into(), |error| over_seeds(error, 1.0, 3, "")),
        );
        let compared =
            results.comparisons.iter().find(|found| found.condition == condition.condition);
        row.extend(norms.iter().map(|norm| {
            compared.map_or("–".into(), |found| ratio(&found.minimal_perturbation[*norm]))
        }));
        row
    };
    std::iter::once(header).chain(results.conditions.iter().map(row)).collect()
}

/// The levels shown in tables: those nearest to 0.1, 0.2 and 0.3.
pub(crate) fn shown(levels: &[LevelSummary]) -> Vec<usize> {
    let away = |index: &usize, wanted: f64| (levels[*index].level - wanted).abs();
    let nearest =
        |wanted: f64| (0..levels.len()).min_by(|a, b| away(a, wanted).total_cmp(&away(b, wanted)));
    let mut found: Vec<usize> = SHOWN.into_iter().filter_map(nearest).collect();
    found.dedup();
    found
}

/// `scale` times a value over seeds: a single value as it is, two values side by side, the mean and
/// 95% interval of more.
pub(crate) fn over_seeds(figure: &Spread, scale: f64, digits: usize, unit: &str) -> String {
    let half = figure
        .standard_deviation
        .and_then(|deviation| half_width_of_mean(deviation, figure.values.len()));
    match (figure.values.as_slice(), half) {
        ([one, other], _) => format!("{:.digits$}, {:.digits$}{unit}", scale * one, scale * other),
        (_, Some(half)) => {
            format!("{:.digits$} ± {:.digits$}{unit}", scale * figure.mean, scale * half)
        }
        (_, None) => format!("{:.digits$}{unit}", scale * figure.mean),
    }
}

/// A fraction over seeds, in percent.
pub(crate) fn percent(share: &Spread) -> String {
    over_seeds(share, 100.0, 1, "%")
}

/// A ratio over seeds, in the same way: an interval of two seeds by Student's t says no more than
/// both values.
pub(crate) fn ratio(found: &Ratio) -> String {
    let values: Option<Vec<f64>> = found.seeds.iter().map(|seed| seed.ratio).collect();
    match (values.as_deref(), found.ratio, found.low, found.high) {
        (Some([one, other]), ..) => format!("{one:.2}, {other:.2}"),
        (_, Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} [{low:.2}, {high:.2}]"),
        (_, Some(ratio), ..) => format!("{ratio:.2}"),
        (_, None, ..) => "–".into(),
    }
}

/// A difference of fractions over seeds, in percentage points, in the same way.
pub(crate) fn points(found: Option<&Difference>, scale: f64, digits: usize) -> String {
    let Some(Difference { over_seeds, half_width }) = found else { return "–".into() };
    match (over_seeds.values.as_slice(), half_width) {
        ([one, other], _) => format!("{:+.digits$}, {:+.digits$}", scale * one, scale * other),
        (_, Some(half)) => {
            format!("{:+.digits$} ± {:.digits$}", scale * over_seeds.mean, scale * half)
        }
        (_, None) => format!("{:+.digits$}", scale * over_seeds.mean),
    }
}

/// Aligns cells in columns: the first to the left, the others to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells =
            row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(|row| line(row) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::{Comparison, SeedRatio, ValidationSummary};
    use std::collections::BTreeMap;

    const LEVELS: [f64; 5] = [0.0, 0.04, 0.12, 0.2, 0.3];

    fn condition(name: &str, clean: &[f64]) -> ConditionSummary {
        let at = |level: f64| {
            let values: Vec<f64> = clean.iter().map(|clean| clean - level).collect();
            LevelSummary {
                level,
                accuracy: Spread::of(&values),
                retention: Spread::of(&vec![0.5; clean.len()]),
            }
        };
        ConditionSummary {
            condition: name.into(),
            seeds: clean.len(),
            clean_accuracy: Spread::of(clean),
            gaussian_noise: LEVELS.map(at).to_vec(),
            validation: ValidationSummary {
                clean_accuracy: Spread::of(clean),
                gaussian_noise: vec![],
            },
            pull: None,
            mean_corruption_error: Some(Spread::of(&vec![0.25; clean.len()])),
            attacks: BTreeMap::new(),
            minimal_perturbation: BTreeMap::new(),
        }
    }

    fn compared(name: &str, ratios: &[f64]) -> Comparison {
        let seed = |(seed, ratio): (usize, &f64)| SeedRatio {
            seed: seed as u64,
            ratio: Some(*ratio),
            low: None,
            high: None,
            images: 9,
            censored: [0; 3],
        };
        let (ratio, low) = (Some(1.25), (ratios.len() > 1).then_some(0.5));
        let found = Ratio {
            ratio,
            low,
            high: low.map(|_| 4.0),
            seeds: ratios.iter().enumerate().map(seed).collect(),
        };
        Comparison {
            condition: name.into(),
            baseline: "none".into(),
            minimal_perturbation: BTreeMap::from([("l2".into(), found)]),
            at_equal_accuracy: None,
        }
    }

    fn results(clean: &[f64]) -> Results {
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
            networks: vec![],
            conditions: vec![condition("none", clean), condition("denoised", clean)],
            comparisons: vec![compared("denoised", clean)],
        }
    }

    fn table(clean: &[f64]) -> Vec<Vec<String>> {
        headline(&results(clean))
    }

    #[test]
    fn tables_say_which_of_alpha_and_force_was_matched() {
        let said = |pulls: [(SetBy, f64, f64); 2]| {
            let mut results = results(&[0.5]);
            for (condition, (set, alpha, force)) in results.conditions.iter_mut().zip(pulls) {
                condition.pull = Some(PullSummary {
                    set,
                    alpha: Spread::of(&[alpha]),
                    force: Spread::of(&[force]),
                });
            }
            let cells =
                headline(&results)[1..].iter().map(|row| row[2].clone()).collect::<Vec<_>>();
            (cells, matched(&results).unwrap())
        };
        let (cells, line) = said([(SetBy::Alpha, 20.0, 1.98), (SetBy::Alpha, 20.0, 0.16)]);
        assert_eq!(cells, ["1.980 (alpha 20)", "0.160 (alpha 20)"]);
        assert!(line.contains("same alpha, but not the same force"), "{line}");
        let (cells, line) = said([(SetBy::Force, 20.25, 2.0), (SetBy::Force, 250.0, 2.0)]);
        assert_eq!(cells, ["2 (alpha 20.250)", "2 (alpha 250.000)"]);
        assert!(line.contains("All targets have the same force"), "{line}");
        assert!(
            said([(SetBy::Alpha, 20.0, 1.0), (SetBy::Force, 30.0, 2.0)])
                .1
                .contains("differ in alpha and force")
        );
        assert_eq!(matched(&results(&[0.5])), None);
    }

    #[test]
    fn a_table_has_clean_and_noisy_accuracy_and_the_corruption_error_but_no_share_that_is_kept() {
        let header = [
            "condition",
            "seeds",
            "force",
            "clean",
            "noise 0.12",
            "noise 0.20",
            "noise 0.30",
            "mean corruption error",
        ];
        let table = table(&[0.5]);
        assert_eq!(table[0][..8], header);
        assert_eq!(table[0][8], "min. l2, times baseline");
        assert_eq!(table[1], ["none", "1", "–", "50.0%", "38.0%", "30.0%", "20.0%", "0.250", "–"]);
        assert_eq!(table[2][8], "1.25");
    }

    #[test]
    fn one_seed_has_no_spread_and_two_seeds_stand_as_they_are() {
        assert!(table(&[0.5]).concat().iter().all(|cell| !cell.contains('±')));
        let two = table(&[0.5, 0.75]);
        assert!(two.concat().iter().all(|cell| !cell.contains('±')), "{two:?}");
        assert_eq!(
            (two[1][3].as_str(), two[1][6].as_str(), two[2][8].as_str()),
            ("50.0, 75.0%", "20.0, 45.0%", "0.50, 0.75")
        );
        // 4.303 standard errors of 0.1 / sqrt(3).
        let three = table(&[0.5, 0.6, 0.7]);
        assert_eq!(
            (three[1][3].as_str(), three[2][8].as_str()),
            ("60.0 ± 24.8%", "1.25 [0.50, 4.00]")
        );
    }

    #[test]
    fn levels_are_the_nearest_that_were_measured() {
        let levels = |levels: &[f64]| -> Vec<LevelSummary> {
            let one = |level: &f64| LevelSummary {
                level: *level,
                accuracy: Spread::of(&[0.5]),
                retention: Spread::of(&[1.0]),
            };
            levels.iter().map(one).collect()
        };
        assert_eq!(shown(&levels(&LEVELS)), [2, 3, 4]);
        assert_eq!(shown(&levels(&[0.0, 0.05, 0.1])), [2]);
        assert_eq!(shown(&levels(&[0.0, 0.1, 0.2, 0.3])), [1, 2, 3]);
    }

    #[test]
    fn columns_line_up() {
        let text = aligned(&table(&[0.5, 0.75]));
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!((widths.len(), widths[0]), (3, widths[2]));
    }
}
