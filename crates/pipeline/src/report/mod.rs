//! `report.html`: a self-contained page with the answer to the question of a run and the results so
//! far.

mod answer;
#[cfg(test)]
mod browser;
mod clustering;
mod csv;
mod figure;
mod heatmap;
mod matched;
mod page;
pub(crate) mod plots;
mod response;
mod robustness;
mod scans;
pub(crate) mod trade_off;
mod training;

pub(crate) use clustering::order_by_clustering;
pub(crate) use heatmap::{Heatmap, Thumbnail, heatmap};

use crate::artifacts::{
    ConditionSummary, ExampleNeuron, Followed, LevelSummary, NeuronCorrelations, Pictures,
    ReceptiveFields, ResponseEpoch, Results, TrainingEpoch,
};
use crate::table;
use anyhow::Result;
use brainprior_response_model::Recovery;
use page::Page;
use plots::{Axes, Curve, color, curves};
use std::collections::BTreeMap;

/// A similarity matrix as a picture.
pub(crate) struct MatrixPicture {
    pub(crate) name: String,
    pub(crate) heatmap: Heatmap,
    pub(crate) limit: f32,
    /// Rows in the order of the picture, each with the name of its image; empty if there are too
    /// many for a page.
    pub(crate) values: Vec<(String, Vec<f32>)>,
    /// Their file in the run directory.
    pub(crate) file: String,
}

/// Results on scans, model and similarities, before any network is trained.
#[derive(Default)]
pub(crate) struct Neural {
    pub(crate) response_epochs: BTreeMap<String, Vec<ResponseEpoch>>,
    pub(crate) examples: Vec<ExampleNeuron>,
    pub(crate) correlations: Vec<NeuronCorrelations>,
    pub(crate) fields: Vec<ReceptiveFields>,
    /// Kernels of the first layer of the response model, row by row.
    pub(crate) filters: Vec<Vec<Vec<f32>>>,
    /// Recovery of gaze and gains by the model, for each simulated scan.
    pub(crate) recoveries: Vec<(String, Recovery)>,
    pub(crate) matrices: Vec<MatrixPicture>,
    pub(crate) sources: Vec<String>,
}

/// The planned comparison of a run, and its images.
pub(crate) struct Design {
    /// Names, in the order of the configuration.
    pub(crate) conditions: Vec<String>,
    /// Whether scans are simulated.
    pub(crate) simulated: bool,
    /// Whether the labeled images are procedural.
    pub(crate) procedural: bool,
    pub(crate) test_images: usize,
    pub(crate) attacked_images: usize,
}

/// Everything that the page shows.
pub(crate) struct Content<'a> {
    pub(crate) results: &'a Results,
    pub(crate) design: Design,
    /// Sentences on unfinished work; empty for a finished run.
    pub(crate) missing: Vec<String>,
    pub(crate) neural: &'a Neural,
    pub(crate) seconds: &'a BTreeMap<String, f64>,
    pub(crate) training: BTreeMap<(String, u64), Vec<TrainingEpoch>>,
    /// Labeled images per second, by task.
    pub(crate) speeds: BTreeMap<String, Option<f64>>,
    /// Clean and noisy accuracy over epochs, if it was measured.
    pub(crate) trade_off: Vec<Followed>,
    /// Depth, in convolutions, of each layer of the similarity.
    pub(crate) layers: Vec<usize>,
    /// Pictures of the first seed of each condition.
    pub(crate) adversarial: Vec<(String, Pictures)>,
    pub(crate) settings: String,
}

/// The page as HTML.
pub(crate) fn render(content: &Content) -> Result<String> {
    let results = content.results;
    let mut page = Page::default();
    page.title(
        &format!("brainprior: {}", results.name),
        "Image classifiers whose similarities follow those of mouse visual cortex, against their controls.",
    );
    if !content.missing.is_empty() {
        page.missing(&content.missing);
    }
    answer::section(&mut page, content);
    if !results.conditions.is_empty() {
        headline(&mut page, results);
        matched::section(&mut page, results);
        noise(&mut page, results);
        robustness::section(&mut page, content)?;
    }
    scans::section(&mut page, content)?;
    training::section(&mut page, content);
    provenance(&mut page, content);
    Ok(page.finish(&format!("brainprior: {}", results.name)))
}

fn headline(page: &mut Page, results: &Results) {
    let table = table::headline(results);
    let [header, rows @ ..] = table.as_slice() else { return };
    page.section("Result", table::COLUMNS);
    let rows: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(row, cells)| (Some(color(&cells[0], row)), cells.clone()))
        .collect();
    page.table(header, &rows);
    page.paragraph(table::OVER_SEEDS);
    if let Some(line) = table::matched(results) {
        page.paragraph(&line);
    }
    robustness::against_epsilon(page, results);
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

fn noise(page: &mut Page, results: &Results) {
    page.section(
        "Noise",
        "Gaussian noise on images in [0, 1], clipped to [0, 1]. Curves are means over seeds. Bands span both values of two seeds, or one standard deviation of three or more.",
    );
    let noise =
        level_curves(&results.conditions, |condition| condition.gaussian_noise.clone(), false);
    let kept =
        level_curves(&results.conditions, |condition| condition.gaussian_noise.clone(), true);
    let axes = |title, y| Axes { title, x: "standard deviation of the noise", y, y_range: None };
    page.figures(&[
        curves(&axes("Accuracy under noise", "accuracy"), &noise).caption("Accuracy at each noise level."),
        curves(&axes("Retention", "noisy / clean accuracy"), &kept).caption(
            "Accuracy under noise divided by the network's own clean accuracy. Any network of low accuracy retains much of it.",
        ),
    ]);
}

fn provenance(page: &mut Page, content: &Content) {
    let results = content.results;
    page.section("Reproducing this run", "Everything needed to repeat this run.");
    page.paragraph(&format!(
        "brainprior {}, device {}, seed {}, configuration {}…",
        results.crate_version,
        results.device,
        results.seed,
        &results.config_hash[..12]
    ));
    page.details("Inputs", &content.neural.sources.join("\n"));
    let times: String = content
        .seconds
        .iter()
        .map(|(task, seconds)| format!("{task:<32} {seconds:8.1} s\n"))
        .collect();
    page.details("Time by task", &times);
    page.details("Resolved configuration", &content.settings);
}
