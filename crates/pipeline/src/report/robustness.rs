//! The sections on attacks and corruptions: curves, smallest perturbations, masking checks and
//! pictures.

use super::csv::Csv;
use super::figure::Figure;
use super::heatmap::picture_uri;
use super::page::Page;
use super::plots::{Axes, color, curves};
use super::{Content, level_curves, page};
use crate::artifacts::{
    Comparison, MaskingSign, MinimalPerturbation, NetworkResult, Pictures, Results, SeedRatio,
};
use crate::table;
use anyhow::Result;

/// Pixels of the page per pixel of an image.
const ENLARGEMENT: usize = 3;
/// Pixels between images.
const GAP: usize = 4;

/// Prefix of the curves of accuracy under an ensemble.
const ENSEMBLE: &str = "ensemble_";

/// Accuracy against the size of the smallest perturbations, over all images.
pub(crate) fn against_epsilon(page: &mut Page, results: &Results) {
    let captions =
        "that are classified correctly and withstand an ensemble of attacks up to this size";
    figures(
        page,
        results,
        |name| name.starts_with(ENSEMBLE),
        &format!("fraction of all attacked test images {captions}."),
    );
}

/// Attacks, their pictures, corruptions.
pub(crate) fn section(page: &mut Page, content: &Content) -> Result<()> {
    let results = content.results;
    page.section(
        "Attacks",
        "Images are perturbed within epsilon, by one step along the gradient (fgsm) or by the smallest perturbation that an ensemble of attacks finds.",
    );
    figures(
        page,
        results,
        |name| !name.starts_with(ENSEMBLE),
        "accuracy over all images against the size of the perturbation.",
    );
    compared(page, results);
    smallest(page, results);
    pictures(page, content)?;
    corruptions(page, results);
    Ok(())
}

/// Curves of those attacks whose name is `wanted`.
fn figures(page: &mut Page, results: &Results, wanted: impl Fn(&str) -> bool, caption: &str) {
    let Some(first) = results.conditions.first() else { return };
    let mut figures = Vec::new();
    for name in first.attacks.keys().filter(|name| wanted(name)) {
        let data =
            level_curves(&results.conditions, |condition| condition.attacks[name].clone(), false);
        let axes = Axes { title: name, x: "epsilon", y: "accuracy", y_range: None };
        figures.push(curves(&axes, &data).caption(format!("{name}: {caption}")));
    }
    page.figures(&figures);
}

/// Each condition's smallest perturbations over those of the baseline, by seed and over seeds.
fn compared(page: &mut Page, results: &Results) {
    let Some(first) = results.comparisons.first() else { return };
    let mut header = vec!["condition".to_owned()];
    for norm in first.minimal_perturbation.keys() {
        header.push(format!("{norm}, times {}", first.baseline));
        header.push("by seed [95% interval over images]".to_owned());
        header.push("images".to_owned());
    }
    let known = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
    let row = |found: &Comparison| {
        let mut cells = vec![found.condition.clone()];
        for ratio in found.minimal_perturbation.values() {
            let interval = |low, high| format!("[{}, {}]", known(low), known(high));
            cells.push(match ratio.seeds.len() {
                1 => known(ratio.ratio),
                _ => format!("{} {}", known(ratio.ratio), interval(ratio.low, ratio.high)),
            });
            let seed = |seed: &SeedRatio| {
                format!("{} {}", known(seed.ratio), interval(seed.low, seed.high))
            };
            cells.push(ratio.seeds.iter().map(seed).collect::<Vec<_>>().join("; "));
            cells.push(
                ratio
                    .seeds
                    .iter()
                    .map(|seed| seed.images.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            );
        }
        let index = results
            .conditions
            .iter()
            .position(|condition| condition.condition == found.condition)
            .unwrap_or(0);
        (Some(color(&found.condition, index)), cells)
    };
    page.paragraph(
        "The first table divides the smallest perturbations by those of the baseline with the same seed: it shows the median over the images that both classify correctly, and the geometric mean over seeds with its 95% interval by Student's t. Above 1, the condition is more robust. A median over each network's own images, as in the next table, favors less accurate networks, whose correctly classified images are the easy ones.",
    );
    page.table(&header, &results.comparisons.iter().map(row).collect::<Vec<_>>());
}

fn interval(found: &MinimalPerturbation) -> String {
    let size =
        |value: Option<f64>| value.map_or("not reached".to_owned(), |value| format!("{value:.4}"));
    format!("{} [{}, {}]", size(found.median), size(found.low), size(found.high))
}

fn smallest(page: &mut Page, results: &Results) {
    let Some(first) = results.networks.first() else { return };
    let mut header = vec!["network".to_owned(), "correct".to_owned()];
    for name in first.minimal_perturbation.keys() {
        header.push(format!("{name}, median [95%]"));
        header.push("censored".to_owned());
    }
    header.push("masking".to_owned());
    let row = |network: &NetworkResult| {
        let right =
            network.minimal_perturbation.values().map(|found| found.images).max().unwrap_or(0);
        let mut cells =
            vec![format!("{}, seed {}", network.condition, network.seed), right.to_string()];
        for found in network.minimal_perturbation.values() {
            cells.push(interval(found));
            cells.push(found.censored.to_string());
        }
        let masking = match network.masking.as_ref().map(|masking| masking.sign) {
            None => "–",
            Some(MaskingSign::None) => "none",
            Some(MaskingSign::TooFewImages) => "too few images to tell",
            Some(MaskingSign::Found) => "found",
        };
        cells.push(masking.to_owned());
        let index = results
            .conditions
            .iter()
            .position(|condition| condition.condition == network.condition)
            .unwrap_or(0);
        (Some(color(&network.condition, index)), cells)
    };
    page.paragraph(
        "The next table shows the smallest perturbations of the images that a network classifies correctly, each verified on its own. Images that withstand every attack are censored, not dropped. Masking says whether the checks found signs of gradient masking.",
    );
    page.table(&header, &results.networks.iter().map(row).collect::<Vec<_>>());
    let verdicts: Vec<String> = results
        .networks
        .iter()
        .filter_map(|network| {
            Some(format!(
                "{}, seed {}: {}",
                network.condition,
                network.seed,
                network.masking.as_ref()?.verdict
            ))
        })
        .collect();
    page.details("Results of the gradient masking checks", &verdicts.join("\n"));
}

fn corruptions(page: &mut Page, results: &Results) {
    let Some(first) = results.networks.first().filter(|network| !network.corruptions.is_empty())
    else {
        return;
    };
    let mut header = vec!["condition".to_owned(), "mean error".to_owned()];
    header.extend(first.corruptions.keys().map(|name| name.replace('_', " ")));
    let rows: Vec<_> = results
        .conditions
        .iter()
        .enumerate()
        .map(|(index, condition)| {
            let own: Vec<&NetworkResult> = results
                .networks
                .iter()
                .filter(|network| network.condition == condition.condition)
                .collect();
            let mut cells = vec![condition.condition.clone()];
            cells.push(condition.mean_corruption_error.as_ref().map_or("–".into(), table::percent));
            for name in first.corruptions.keys() {
                let errors: Vec<f64> = own
                    .iter()
                    .flat_map(|network| network.corruptions.get(name))
                    .flatten()
                    .copied()
                    .collect();
                cells.push(format!(
                    "{:.0}%",
                    100.0 * errors.iter().sum::<f64>() / errors.len().max(1) as f64
                ));
            }
            (Some(color(&condition.condition, index)), cells)
        })
        .collect();
    page.section(
        "Corruptions",
        match first.published_corruptions {
            true => "Error on the published images of CIFAR-10-C or CIFAR-100-C, mean over five severities and seeds. The mean error is the plain mean over families, without speckle noise, Gaussian blur, spatter and saturate, which are published for choosing settings; it is not divided by another network's error.",
            false => "Error under the families of CIFAR-10-C that make sense in grayscale, computed by this program, mean over five severities and seeds. The mean error is the plain mean over families; it is not divided by another network's error.",
        },
    );
    page.table(&header, &rows);
}

fn pictures(page: &mut Page, content: &Content) -> Result<()> {
    let Some((_, first)) =
        content.adversarial.first().filter(|(_, pictures)| !pictures.originals.is_empty())
    else {
        return Ok(());
    };
    let originals: Vec<Option<Vec<f32>>> = first.originals.iter().cloned().map(Some).collect();
    let gray = |value: f32| value;
    let mut figures =
        vec![strip(first, &originals, "Test images", gray)?.caption("The first test images.")];
    for (name, pictures) in &content.adversarial {
        let title = format!("{name}: nearest adversarial images, L2");
        let caption = format!("{title}; blank if the network misclassifies the unperturbed image.");
        figures.push(strip(pictures, &pictures.adversarial, &title, gray)?.caption(caption));
        let changes: Vec<Option<Vec<f32>>> = pictures
            .originals
            .iter()
            .zip(&pictures.adversarial)
            .map(|(original, adversarial)| {
                adversarial
                    .as_ref()
                    .map(|changed| original.iter().zip(changed).map(|(a, b)| b - a).collect())
            })
            .collect();
        let largest =
            changes.iter().flatten().flatten().fold(1e-6f32, |max, value| max.max(value.abs()));
        let title = format!("{name}: the perturbations");
        let caption = format!("{title}; black to white spans ±{largest:.3}.");
        figures.push(
            strip(pictures, &changes, &title, |value| 0.5 + 0.5 * value / largest)?
                .caption(caption),
        );
    }
    page.figures(&figures);
    Ok(())
}

/// Images in a row, and their values row by row.
fn strip(
    pictures: &Pictures,
    images: &[Option<Vec<f32>>],
    title: &str,
    gray: impl Fn(f32) -> f32,
) -> Result<Figure> {
    let (tall, wide) = (ENLARGEMENT * pictures.height, ENLARGEMENT * pictures.width + GAP);
    let width = wide * images.len() - GAP;
    let uri = picture_uri(tall, width, |y, x| match &images[x / wide] {
        Some(image) if x % wide < wide - GAP => {
            let value = gray(image[y / ENLARGEMENT * pictures.width + x % wide / ENLARGEMENT]);
            [(255.0 * value.clamp(0.0, 1.0)).round() as u8; 3]
        }
        _ => [255; 3],
    })?;
    let columns: Vec<String> = (0..pictures.width).map(|column| format!("x{column}")).collect();
    let names: Vec<&str> =
        ["image", "y"].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let mut numbers = Csv::new(&names);
    for (index, image) in images.iter().enumerate() {
        for (y, row) in image.iter().flat_map(|image| image.chunks(pictures.width)).enumerate() {
            let cells = row.iter().map(|value| format!("{value:.4}"));
            numbers.line([index.to_string(), y.to_string()].into_iter().chain(cells));
        }
    }
    Ok(Figure::new(title, page::wide_image(&uri, title), numbers))
}
