//! `report.html`: one self-contained page that shows what a run found.

mod clustering;
mod heatmap;
mod page;
mod plots;
mod response;
mod robustness;
pub(crate) mod trade_off;
mod training;

pub(crate) use clustering::order_by_clustering;
pub(crate) use heatmap::{Thumbnail, data_uri};

use crate::artifacts::{
    ConditionSummary, Estimate, ExampleNeuron, Followed, LevelSummary, NeuronCorrelations, OverImages, Pictures, ReceptiveFields,
    ResponseEpoch, Results, ScanResult, Spread, TrainingEpoch,
};
use anyhow::Result;
use brainprior_response_model::Recovery;
use page::Page;
use plots::{Axes, Curve, color, curves};
use plotters::style::RGBColor;
use std::collections::BTreeMap;

/// A similarity matrix as a picture.
pub(crate) struct MatrixPicture {
    pub(crate) name: String,
    pub(crate) uri: String,
    pub(crate) limit: f32,
}

/// Everything that the page shows.
pub(crate) struct Content<'a> {
    pub(crate) results: &'a Results,
    pub(crate) seconds: &'a BTreeMap<String, f64>,
    pub(crate) response_epochs: BTreeMap<String, Vec<ResponseEpoch>>,
    pub(crate) training: BTreeMap<(String, u64), Vec<TrainingEpoch>>,
    /// Labelled images a second, by task.
    pub(crate) speeds: BTreeMap<String, f64>,
    /// Clean and noisy accuracy over epochs, where it was followed.
    pub(crate) trade_off: Vec<Followed>,
    /// How many convolutions deep each layer of the similarity lies.
    pub(crate) layers: Vec<usize>,
    pub(crate) examples: Vec<ExampleNeuron>,
    pub(crate) correlations: Vec<NeuronCorrelations>,
    pub(crate) fields: Vec<ReceptiveFields>,
    /// Kernels of the first layer of the response model, row by row.
    pub(crate) filters: Vec<Vec<Vec<f32>>>,
    /// By scan, for simulated scans: what the model found of gaze and gains.
    pub(crate) recoveries: Vec<(String, Recovery)>,
    pub(crate) matrices: Vec<MatrixPicture>,
    /// By condition, of its first seed.
    pub(crate) adversarial: Vec<(String, Pictures)>,
    pub(crate) settings: String,
    pub(crate) sources: Vec<String>,
}

/// The page as HTML.
pub(crate) fn render(content: &Content) -> Result<String> {
    let results = content.results;
    let mut page = Page::default();
    page.title(
        &format!("brainprior: {}", results.name),
        "Image classifiers whose similarities follow those of mouse visual cortex, against their controls.",
    );
    headline(&mut page, results)?;
    noise(&mut page, results)?;
    robustness::section(&mut page, content)?;
    scans(&mut page, content)?;
    matrices(&mut page, content);
    training::section(&mut page, content)?;
    provenance(&mut page, content);
    Ok(page.finish(&format!("brainprior: {}", results.name)))
}

fn percent(spread: &Spread, seeds: usize) -> String {
    match seeds {
        1 => format!("{:.1}%", 100.0 * spread.mean),
        _ => format!("{:.1} ± {:.1}%", 100.0 * spread.mean, 100.0 * spread.standard_deviation),
    }
}

fn css(color: RGBColor) -> String {
    format!("rgb({},{},{})", color.0, color.1, color.2)
}

fn headline(page: &mut Page, results: &Results) -> Result<()> {
    let Some(first) = results.conditions.first() else { return Ok(()) };
    let middle = first.gaussian_noise.len() / 2;
    let last = first.gaussian_noise.len() - 1;
    let shown: Vec<usize> = if middle == last { vec![last] } else { vec![middle, last] };
    let mut header = vec!["condition".to_owned(), "clean".to_owned()];
    for index in &shown {
        let level = first.gaussian_noise[*index].level;
        header.push(format!("noise {level:.2}"));
        header.push(format!("kept at {level:.2}"));
    }
    header.extend(first.minimal_perturbation.keys().map(|name| format!("median min. {name}")));
    let rows: Vec<_> = results
        .conditions
        .iter()
        .enumerate()
        .map(|(row, condition)| {
            let mut cells = vec![condition.condition.clone(), percent(&condition.clean_accuracy, condition.seeds)];
            for index in &shown {
                let level = &condition.gaussian_noise[*index];
                cells.push(percent(&level.accuracy, condition.seeds));
                cells.push(format!("{:.2} ± {:.2}", level.retention.mean, level.retention.standard_deviation));
            }
            cells.extend(condition.minimal_perturbation.values().map(|value| match value {
                Some(value) => format!("{:.4} ± {:.4}", value.mean, value.standard_deviation),
                None => "beyond the largest".to_owned(),
            }));
            (Some(css(color(&condition.condition, row))), cells)
        })
        .collect();
    page.section(
        "Result",
        "Accuracy on clean and noisy test images, the share of clean accuracy that is kept, and the smallest perturbation that changes a decision; mean and standard deviation over seeds.",
    );
    page.table(&header, &rows);
    Ok(())
}

fn level_curves(
    conditions: &[ConditionSummary],
    of: impl Fn(&ConditionSummary) -> Vec<LevelSummary>,
    retention: bool,
) -> Vec<Curve> {
    conditions
        .iter()
        .enumerate()
        .map(|(index, condition)| Curve {
            name: condition.condition.clone(),
            color: color(&condition.condition, index),
            points: of(condition)
                .iter()
                .map(|level| {
                    let value = if retention { &level.retention } else { &level.accuracy };
                    (level.level, value.mean, value.standard_deviation)
                })
                .collect(),
        })
        .collect()
}

fn noise(page: &mut Page, results: &Results) -> Result<()> {
    page.section(
        "Noise",
        "Gaussian noise on images in [0, 1], clipped to [0, 1]. Lines are means over seeds, bands one standard deviation.",
    );
    let noise = level_curves(&results.conditions, |condition| condition.gaussian_noise.clone(), false);
    let kept = level_curves(&results.conditions, |condition| condition.gaussian_noise.clone(), true);
    let axes = |title, y| Axes { title, x: "standard deviation of the noise", y, y_range: None };
    page.figures(&[
        (curves(&axes("Accuracy under noise", "accuracy"), &noise)?, "Accuracy at each noise level.".into()),
        (curves(&axes("Accuracy kept", "noisy over clean"), &kept)?, "The same over each network's own clean accuracy.".into()),
    ]);
    Ok(())
}

fn scan_row(scan: &ScanResult) -> Vec<String> {
    let estimate = |estimate: &Option<Estimate>| match estimate {
        Some(estimate) => format!("{:.3} [{:.3}, {:.3}]", estimate.value, estimate.low, estimate.high),
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

fn scans(page: &mut Page, content: &Content) -> Result<()> {
    page.section(
        "Scans and response model",
        "Medians over neurons with 95% bootstrap intervals; the model never saw the oracle images.",
    );
    let header =
        ["scan", "neurons", "trials", "excluded", "oracle", "test correlation", "to repeat average", "fraction oracle", "FEVE"];
    let rows: Vec<_> = content.results.scans.iter().map(|scan| (None, scan_row(scan))).collect();
    page.table(&header.map(str::to_owned), &rows);
    let against: Vec<_> = content
        .results
        .scans
        .iter()
        .map(|scan| {
            let average = &scan.similarity_to_repeat_average;
            let mut cells = vec![scan.name.clone(), format!("{:.3}", average.single_trials), format!("{:.3}", average.denoised)];
            match &scan.similarity_to_truth {
                Some(truth) => cells.extend(
                    [truth.single_trials, truth.repeat_average, truth.denoised_equal_weights, truth.denoised_weighted]
                        .map(|value| format!("{value:.3}")),
                ),
                None => cells.extend(["–"; 4].map(str::to_owned)),
            }
            (None, cells)
        })
        .collect();
    page.paragraph("Correlation over the pairs of oracle images between similarity matrices, with the repeat average and, for simulated scans, with the known truth:");
    let header = [
        "scan",
        "single trials ~ average",
        "denoised ~ average",
        "single trials ~ truth",
        "average ~ truth",
        "denoised ~ truth",
        "denoised, weighted ~ truth",
    ];
    page.table(&header.map(str::to_owned), &against);

    conventions(page, content);
    page.figures(&response::figures(content)?);
    Ok(())
}

fn conventions(page: &mut Page, content: &Content) {
    let over = |found: &OverImages| format!("{:.3} [{:.3}, {:.3}]", found.value, found.low, found.high);
    let rows: Vec<_> = content
        .results
        .scans
        .iter()
        .flat_map(|scan| {
            scan.similarity_conventions.iter().map(|found| {
                let ceiling = format!("{:.3} to {:.3}", found.ceiling_lower, found.ceiling_upper);
                let values = [&found.single_trials, &found.repeat_average, &found.denoised].map(over);
                (None, [scan.name.clone(), found.weights.clone()].into_iter().chain(values).chain([ceiling]).collect())
            })
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    page.paragraph(
        "The same against the known truth, whose neurons are weighted alike, with 95% intervals over images (pairs of an image with itself left out). The ceiling is what the truth can reach with single trials, estimated from the repeats alone:",
    );
    let header = ["scan", "weights", "single trials", "repeat average", "denoised", "ceiling of single trials"];
    page.table(&header.map(str::to_owned), &rows);
}

fn matrices(page: &mut Page, content: &Content) {
    page.section(
        "Similarity matrices",
        "Cosine similarity of centred population vectors for pairs of oracle images; red is similar, blue is opposite. All are in the order in which average linkage joins the repeat average; the images beside are those of the rows they point at.",
    );
    let figures: Vec<_> = content
        .matrices
        .iter()
        .map(|matrix| {
            (page::matrix_image(&matrix.uri, &matrix.name), format!("{} (colours saturate at ±{:.2})", matrix.name, matrix.limit))
        })
        .collect();
    page.figures(&figures);
    let header = ["target", "images", "pairs", "mean", "standard deviation", "~ denoised", "oracle images ~ repeat average"]
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
                format!("{:.3}", target.correlation_with_denoised),
                format!("{:.3}", target.correlation_with_oracle),
            ];
            (Some(css(color(&target.name, index))), cells)
        })
        .collect();
    page.paragraph("The targets of the regulariser, over all pairs of their images:");
    page.table(&header, &rows);
}

fn provenance(page: &mut Page, content: &Content) {
    let results = content.results;
    page.section("What was run", "Enough to run it again.");
    page.paragraph(&format!(
        "brainprior {}, device {}, seed {}, configuration {}…",
        results.crate_version,
        results.device,
        results.seed,
        &results.config_hash[..12]
    ));
    page.details("Inputs", &content.sources.join("\n"));
    let times: String = content.seconds.iter().map(|(task, seconds)| format!("{task:<32} {seconds:8.1} s\n")).collect();
    page.details("Time by task", &times);
    page.details("Resolved configuration", &content.settings);
}
