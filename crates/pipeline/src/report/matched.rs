//! Conditions at the baseline's clean accuracy, and the validation accuracy for choosing settings.

use super::page::Page;
use super::plots::color;
use crate::artifacts::{Comparison, ConditionSummary, LevelDifference, Results};
use crate::table;

/// Adds both sections.
pub(crate) fn section(page: &mut Page, results: &Results) {
    at_equal_accuracy(page, results);
    choosing(page, results);
}

fn at_equal_accuracy(page: &mut Page, results: &Results) {
    let Some(conditions) = results.conditions.first() else { return };
    let levels = table::shown(&conditions.gaussian_noise);
    page.section(
        "At equal clean accuracy",
        "Lower clean accuracy alone changes robustness. Each value is therefore the difference between a network and a baseline of the same clean accuracy, interpolated for each seed between complete baseline trainings of several lengths, whose final learning rate is never above that of the network. Values are percentage points; for the corruption error, negative values are better.",
    );
    let found: Vec<&Comparison> =
        results.comparisons.iter().filter(|found| found.at_equal_accuracy.is_some()).collect();
    let Some(first) = found.first().and_then(|found| found.at_equal_accuracy.as_ref()) else {
        page.paragraph(
            "The conditions include no shorter trainings of the baseline; add one, for example { target = \"none\", epochs = 5, keep = \"last\" }.",
        );
        return;
    };
    let mut header = vec!["condition".to_owned()];
    header.extend(
        levels.iter().map(|index| format!("noise {:.2}", first.gaussian_noise[*index].level)),
    );
    header.push("mean corruption error".into());
    let last = |levels: &[LevelDifference]| levels.len().saturating_sub(1) / 2;
    header.extend(
        first
            .attacks
            .iter()
            .map(|(name, levels)| format!("{name} at {}", levels[last(levels)].level)),
    );
    header.push("seeds left out".into());
    let row = |found: &&Comparison| {
        let matched = found.at_equal_accuracy.as_ref()?;
        let mut cells = vec![found.condition.clone()];
        let points = |level: &LevelDifference| table::points(level.difference.as_ref(), 100.0, 1);
        cells.extend(levels.iter().map(|index| points(&matched.gaussian_noise[*index])));
        cells.push(table::points(matched.mean_corruption_error.as_ref(), 100.0, 1));
        cells.extend(matched.attacks.values().map(|levels| points(&levels[last(levels)])));
        let outside: Vec<String> = matched.seeds_outside.iter().map(u64::to_string).collect();
        cells.push(if outside.is_empty() { "none".into() } else { outside.join(", ") });
        let index = results
            .conditions
            .iter()
            .position(|condition| condition.condition == found.condition)
            .unwrap_or(0);
        Some((Some(color(&found.condition, index)), cells))
    };
    page.table(&header, &found.iter().filter_map(row).collect::<Vec<_>>());
    page.paragraph(&format!(
        "Controls: {}. A seed is left out if the clean accuracy of its network lies outside their range.",
        first.controls.join("; ")
    ));
}

fn choosing(page: &mut Page, results: &Results) {
    let Some(first) = results.networks.first() else { return };
    let levels = &first.validation.gaussian_noise;
    let mut header = vec!["condition".to_owned(), "clean".into()];
    header.extend(
        levels
            .iter()
            .filter(|point| point.level > 0.0)
            .map(|point| format!("noise {:.2}", point.level)),
    );
    let row = |(index, condition): (usize, &ConditionSummary)| {
        let mut cells =
            vec![condition.condition.clone(), table::percent(&condition.validation.clean_accuracy)];
        let noisy = condition.validation.gaussian_noise.iter().filter(|level| level.level > 0.0);
        cells.extend(noisy.map(|level| table::percent(&level.accuracy)));
        (Some(color(&condition.condition, index)), cells)
    };
    page.section(
        "Validation accuracy, for choosing settings",
        "Choose alpha, layers and other settings by this table alone: it shows accuracy on the training images held out for validation, which differ between seeds. Then report results on test images that were not used for choices, and on fresh seeds.",
    );
    page.table(&header, &results.conditions.iter().enumerate().map(row).collect::<Vec<_>>());
    page.paragraph(&format!("{} images for each network.", first.validation.images));
}
