//! `report.html`: one self-contained page that shows what a run found.

mod clustering;
mod heatmap;
mod matched;
mod page;
mod plots;
mod response;
mod robustness;
pub(crate) mod trade_off;
mod training;

pub(crate) use clustering::order_by_clustering;
pub(crate) use heatmap::{Thumbnail, data_uri};

use crate::artifacts::{
    ConditionSummary, Estimate, ExampleNeuron, Followed, LevelSummary, NeuronCorrelations, Pictures, ReceptiveFields,
    ReliabilityResult, ResponseEpoch, Results, ScanResult, SimilarityAgreement, SimilarityToTruth, TrainingEpoch,
};
use crate::table;
use anyhow::Result;
use brainprior_response_model::Recovery;
use page::Page;
use plots::{Axes, Curve, color, curves};
use plotters::style::RGBColor;
use std::collections::{BTreeMap, BTreeSet};

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
    /// For each scan the trials that did not train, since their images validate in another scan.
    pub(crate) left_out: Vec<usize>,
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
    matched::section(&mut page, results);
    noise(&mut page, results)?;
    robustness::section(&mut page, content)?;
    scans(&mut page, content)?;
    matrices(&mut page, content);
    training::section(&mut page, content)?;
    provenance(&mut page, content);
    Ok(page.finish(&format!("brainprior: {}", results.name)))
}

fn css(color: RGBColor) -> String {
    format!("rgb({},{},{})", color.0, color.1, color.2)
}

fn headline(page: &mut Page, results: &Results) -> Result<()> {
    let table = table::headline(results);
    let [header, rows @ ..] = table.as_slice() else { return Ok(()) };
    page.section("Result", table::COLUMNS);
    let rows: Vec<_> = rows.iter().enumerate().map(|(row, cells)| (Some(css(color(&cells[0], row))), cells.clone())).collect();
    page.table(header, &rows);
    page.paragraph(table::OVER_SEEDS);
    if let Some(line) = table::matched(results) {
        page.paragraph(&line);
    }
    robustness::against_epsilon(page, results)
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
                    (level.level, value.mean, value.band())
                })
                .collect(),
        })
        .collect()
}

fn noise(page: &mut Page, results: &Results) -> Result<()> {
    page.section(
        "Noise",
        "Gaussian noise on images in [0, 1], clipped to [0, 1]. Lines are means over seeds; bands span both of two seeds, or one standard deviation of more.",
    );
    let noise = level_curves(&results.conditions, |condition| condition.gaussian_noise.clone(), false);
    let kept = level_curves(&results.conditions, |condition| condition.gaussian_noise.clone(), true);
    let axes = |title, y| Axes { title, x: "standard deviation of the noise", y, y_range: None };
    page.figures(&[
        (curves(&axes("Accuracy under noise", "accuracy"), &noise)?, "Accuracy at each noise level.".into()),
        (
            curves(&axes("Accuracy kept", "noisy over clean"), &kept)?,
            "The same over each network's own clean accuracy: any network of low accuracy keeps much of it.".into(),
        ),
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
    if content.left_out.iter().any(|trials| *trials > 0) {
        let named = content.results.scans.iter().zip(&content.left_out).map(|(scan, trials)| format!("{} {trials}", scan.name));
        let counts = named.collect::<Vec<_>>().join(", ");
        page.paragraph(&format!(
            "An image that validates in any scan trains in none. Trials of the training tier that are left out for it: {counts}."
        ));
    }
    let against: Vec<_> = content
        .results
        .scans
        .iter()
        .map(|scan| {
            let others = &scan.similarity_to_other_repeats;
            let truth = scan.similarity_to_truth.as_ref();
            let to_truth = |of: fn(&SimilarityToTruth) -> Option<SimilarityAgreement>| agreement(truth.and_then(of).as_ref());
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
    page.paragraph("Agreement over the pairs of oracle images between similarity matrices: for each repeat, with the average of the others, which it is not among; and, for simulated scans, with the known truth. Each cell is Pearson's correlation with its 95% interval over images, then the slope on the reference and the ratio of the standard deviations, which are 1 where sizes agree as well as order. Everything is weighted as targets are (similarity.weights) but where the header says equal weights:");
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
    let rules: BTreeSet<&str> = content.results.scans.iter().map(|scan| scan.standardized_over.as_str()).collect();
    page.paragraph(&format!("Responses: {}.", rules.into_iter().collect::<Vec<_>>().join("; ")));

    if let Some(weights) = &content.results.weights {
        page.paragraph(&format!("Weights: {}.", weights.sentence()));
    }
    for scan in &content.results.scans {
        if let Some(verdict) = &scan.verdict {
            page.paragraph(&format!("{}: {}.", scan.name, verdict.text));
        }
        if let Some(shares) = &scan.shares {
            page.paragraph(&format!(
                "{}: predictions are {:.2} of the convolutional model and {:.2} of readouts of fixed features, as held-out trials decided.",
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
                    found.reliability.as_ref().map_or("–".into(), |reliability| format!("{:.3}", of(reliability)))
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
        "The same with every neuron weighted alike on both sides. A ceiling is what the truth would reach, estimated from the repeats alone: the root of their reliability (of single trials: the mean correlation of two; of the average: split halves, corrected):",
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
    let header =
        ["target", "images", "pairs", "mean", "standard deviation", "~ denoised", "oracle images ~ repeats"].map(str::to_owned);
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
            (Some(css(color(&target.name, index))), cells)
        })
        .collect();
    page.paragraph("The targets of the regulariser, over all pairs of their images. Agreement is correlation, slope and ratio of standard deviations; on the oracle images it is that of the same method with the mean over all repeats but the first, of which raw is made:");
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
