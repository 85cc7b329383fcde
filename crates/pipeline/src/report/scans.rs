//! The sections on scans, the response model and similarities.

use super::csv::Csv;
use super::figure::Figure;
use super::page::Page;
use super::plots::color;
use super::{Content, MatrixPicture, response};
use crate::artifacts::{
    Estimate, ReliabilityResult, ScanResult, SimilarityAgreement, SimilarityToTruth,
};
use anyhow::Result;
use std::collections::BTreeSet;

fn scan_row(scan: &ScanResult) -> Vec<String> {
    let estimate = |estimate: &Option<Estimate>| match estimate {
        Some(estimate) => {
            format!("{:.3} [{:.3}, {:.3}]", estimate.value, estimate.low, estimate.high)
        }
        None => "–".into(),
    };
    vec![
        scan.name.clone(),
        scan.neurons.to_string(),
        scan.trials.to_string(),
        scan.excluded_neurons.to_string(),
        scan.oracle.map_or("–".into(), |oracle| format!("{oracle:.3}")),
        estimate(&scan.test_correlation),
        estimate(&scan.correlation_to_average),
        estimate(&scan.fraction_oracle),
        estimate(&scan.feve),
    ]
}

/// Adds the sections on scans and model and on similarities, if there are any.
pub(crate) fn section(page: &mut Page, content: &Content) -> Result<()> {
    if content.results.scans.is_empty() {
        return Ok(());
    }
    measured(page, content)?;
    matrices(page, content);
    Ok(())
}

fn measured(page: &mut Page, content: &Content) -> Result<()> {
    page.section(
        "Scans and response model",
        "Values are medians over neurons with 95% bootstrap intervals; the model never saw the oracle images.",
    );
    let header = [
        "scan",
        "neurons",
        "trials",
        "excluded",
        "oracle",
        "test correlation",
        "to repeat average",
        "fraction oracle",
        "FEVE",
    ];
    let rows: Vec<_> = content.results.scans.iter().map(|scan| (None, scan_row(scan))).collect();
    page.table(&header.map(str::to_owned), &rows);
    let against: Vec<_> = content
        .results
        .scans
        .iter()
        .map(|scan| {
            let others = &scan.similarity_to_other_repeats;
            let truth = scan.similarity_to_truth.as_ref();
            let to_truth = |of: fn(&SimilarityToTruth) -> Option<SimilarityAgreement>| {
                agreement(truth.and_then(of).as_ref())
            };
            let cells = vec![
                scan.name.clone(),
                agreement(others.single_trials.as_ref()),
                agreement(others.denoised.as_ref()),
                agreement(others.combined.as_ref()),
                to_truth(|truth| truth.single_trials),
                to_truth(|truth| truth.repeat_average),
                to_truth(|truth| truth.denoised_equal_weights),
                to_truth(|truth| truth.denoised_weighted),
            ];
            (None, cells)
        })
        .collect();
    page.paragraph("The next table compares similarity matrices over the pairs of oracle images: with the average of the other repeats, which never includes the compared trial, and, for simulated scans, with the known ground truth. Each cell shows Pearson's correlation with its 95% interval over images, then the slope on the reference and the ratio of the standard deviations, both of which are 1 if sizes agree as well as order. Neurons are weighted as in targets (similarity.weights), unless the header says equal weights:");
    let header = [
        "scan",
        "single trials ~ other repeats",
        "denoised ~ other repeats",
        "combined with one trial ~ other repeats",
        "single trials ~ truth",
        "average ~ truth",
        "denoised, equal weights ~ truth",
        "denoised ~ truth",
    ];
    page.table(&header.map(str::to_owned), &against);
    let rules: BTreeSet<&str> =
        content.results.scans.iter().map(|scan| scan.standardized_over.as_str()).collect();
    if rules.iter().any(|rule| !rule.is_empty()) {
        page.paragraph(&format!(
            "Responses: {}.",
            rules.into_iter().collect::<Vec<_>>().join("; ")
        ));
    }
    if let Some(weights) = &content.results.weights {
        page.paragraph(&format!("Weights: {}.", weights.sentence()));
    }
    for scan in &content.results.scans {
        if let Some(verdict) = &scan.verdict {
            page.paragraph(&format!("{}: {}.", scan.name, verdict.text));
        }
        if let Some(shares) = &scan.shares {
            page.paragraph(&format!(
                "{}: predictions are a weighted sum of the convolutional model ({:.2}) and of readouts of fixed features ({:.2}); held-out trials determined the weights.",
                scan.name, shares.convolutional, shares.linear
            ));
        }
    }
    weightings(page, content);
    page.figures(&response::figures(content)?);
    Ok(())
}

/// Correlation with its interval, slope, ratio of standard deviations.
fn agreement(found: Option<&SimilarityAgreement>) -> String {
    let Some(found) = found else { return "–".into() };
    let interval = match (found.low, found.high) {
        (Some(low), Some(high)) => format!(" [{low:.3}, {high:.3}]"),
        _ => String::new(),
    };
    format!("{:.3}{interval}, {:.2}, {:.2}", found.correlation, found.slope, found.spread_ratio)
}

fn weightings(page: &mut Page, content: &Content) {
    let rows: Vec<_> = content
        .results
        .scans
        .iter()
        .flat_map(|scan| {
            scan.similarity_weightings.iter().map(|found| {
                let ceiling = |of: fn(&ReliabilityResult) -> f64| {
                    found
                        .reliability
                        .as_ref()
                        .map_or("–".into(), |reliability| format!("{:.3}", of(reliability)))
                };
                let cells = vec![
                    scan.name.clone(),
                    found.weights.clone(),
                    agreement(found.to_other_repeats.single_trials.as_ref()),
                    agreement(found.to_other_repeats.denoised.as_ref()),
                    agreement(found.to_other_repeats.combined.as_ref()),
                    ceiling(|reliability| reliability.average),
                    ceiling(|reliability| reliability.ceiling_of_single_trials),
                    ceiling(|reliability| reliability.ceiling_of_average),
                    agreement(found.single_trials_to_truth.as_ref()),
                    agreement(found.repeat_average_to_truth.as_ref()),
                    agreement(found.denoised_to_truth.as_ref()),
                    agreement(found.combined_with_one_to_truth.as_ref()),
                    agreement(found.combined_with_all_to_truth.as_ref()),
                ];
                (None, cells)
            })
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    page.paragraph(
        "The next table makes the same comparison with the same weights of neurons on both sides. A ceiling is the correlation that the truth would reach, estimated from the repeats alone: the square root of their reliability (for single trials, the mean correlation of two; for the average, the corrected correlation of split halves):",
    );
    let header = [
        "scan",
        "weights",
        "single trials ~ other repeats",
        "denoised ~ other repeats",
        "combined with one trial ~ other repeats",
        "reliability of the average",
        "ceiling of single trials",
        "ceiling of the average",
        "single trials ~ truth",
        "average ~ truth",
        "denoised ~ truth",
        "combined with one trial ~ truth",
        "combined with all ~ truth",
    ];
    page.table(&header.map(str::to_owned), &rows);
}

fn matrix(matrix: &MatrixPicture) -> Figure {
    let MatrixPicture { name, heatmap, limit, values, file } = matrix;
    let caption = format!("{name} (colors saturate at ±{limit:.2})");
    if values.is_empty() {
        let caption =
            format!("{caption}. There are too many numbers for this page; they are in {file}.");
        return Figure::without_numbers(name, heatmap.image(name)).caption(caption);
    }
    let names: Vec<&str> =
        std::iter::once("image").chain(values.iter().map(|(image, _)| image.as_str())).collect();
    let mut numbers = Csv::new(&names);
    for (image, row) in values {
        numbers.line(
            std::iter::once(image.clone()).chain(row.iter().map(|value| format!("{value:.3}"))),
        );
    }
    Figure::new(&format!("Similarity, {name}"), heatmap.image(name), numbers).caption(caption)
}

fn matrices(page: &mut Page, content: &Content) {
    if content.neural.matrices.is_empty() && content.results.targets.is_empty() {
        return;
    }
    page.section(
        "Similarity matrices",
        "Cosine similarity of centered population vectors for pairs of oracle images; red is similar, blue is opposite. All matrices have the same order of images, from average linkage of the repeat average; lines connect the images beside a matrix to their rows.",
    );
    let figures: Vec<Figure> = content.neural.matrices.iter().map(matrix).collect();
    page.figures(&figures);
    let header = [
        "target",
        "images",
        "pairs",
        "mean",
        "standard deviation",
        "~ denoised",
        "oracle images ~ repeats",
    ]
    .map(str::to_owned);
    let rows: Vec<_> = content
        .results
        .targets
        .iter()
        .enumerate()
        .map(|(index, target)| {
            let cells = vec![
                target.name.clone(),
                target.images.to_string(),
                target.pairs.to_string(),
                format!("{:.4}", target.mean),
                format!("{:.4}", target.standard_deviation),
                agreement(target.with_denoised.as_ref()),
                agreement(target.with_oracle.as_ref()),
            ];
            (Some(color(&target.name, index)), cells)
        })
        .collect();
    page.paragraph("The next table shows the similarity targets over all pairs of their images. Agreement is correlation, slope and ratio of standard deviations; on the oracle images, the same method is compared with the mean over all repeats except the first, from which raw is made:");
    page.table(&header, &rows);
}
