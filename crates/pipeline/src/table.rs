//! The result on the terminal.

use crate::artifacts::{ConditionSummary, Spread};

/// One line for each condition: clean accuracy, accuracy and share kept at the middle and the strongest noise, and the
/// medians of the smallest perturbations.
pub(crate) fn conditions(conditions: &[ConditionSummary]) -> String {
    let Some(first) = conditions.first() else { return String::new() };
    let last = first.gaussian_noise.len() - 1;
    let levels = [last / 2, last];
    let mut rows = vec![vec!["condition".to_owned(), "seeds".into(), "clean".into()]];
    for index in levels {
        rows[0].push(format!("noise {:.2}", first.gaussian_noise[index].level));
        rows[0].push("kept".into());
    }
    rows[0].extend(first.minimal_perturbation.keys().map(|name| format!("min. {name}")));
    for condition in conditions {
        let mut row = vec![condition.condition.clone(), condition.seeds.to_string(), percent(&condition.clean_accuracy)];
        for index in levels {
            let level = &condition.gaussian_noise[index];
            row.push(percent(&level.accuracy));
            row.push(format!("{:.2} ± {:.2}", level.retention.mean, level.retention.standard_deviation));
        }
        row.extend(condition.minimal_perturbation.values().map(|value| match value {
            Some(value) => format!("{:.4} ± {:.4}", value.mean, value.standard_deviation),
            None => "beyond largest".into(),
        }));
        rows.push(row);
    }
    aligned(&rows)
}

/// Cells in columns: the first to the left, the others to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(|row| line(row) + "\n").collect()
}

fn percent(spread: &Spread) -> String {
    format!("{:.1} ± {:.1}%", 100.0 * spread.mean, 100.0 * spread.standard_deviation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::{NetworkResult, Point, summarize};
    use std::collections::BTreeMap;

    #[test]
    fn columns_line_up() {
        let network = |condition: &str, seed, clean| NetworkResult {
            condition: condition.into(),
            seed,
            clean_accuracy: clean,
            gaussian_noise: vec![Point { level: 0.0, accuracy: clean }, Point { level: 0.1, accuracy: clean / 2.0 }],
            corruptions: BTreeMap::new(),
            mean_corruption_error: None,
            attacks: BTreeMap::new(),
            minimal_perturbation: BTreeMap::new(),
            masking: None,
            gamma: vec![],
            pair_correlation: None,
        };
        let text = conditions(&summarize(&[network("none", 0, 0.5), network("none", 1, 0.7), network("denoised", 0, 0.6)]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("60.0 ± 14.1%") && lines[1].contains("0.50 ± 0.00"), "{text}");
        assert_eq!(lines[0].chars().count(), lines[1].chars().count());
    }
}
