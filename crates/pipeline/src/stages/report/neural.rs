//! Results on scans, response model and similarities.

use super::super::scans::Loaded;
use super::super::{response, scans, similarity};
use crate::artifacts::{
    ResponseSummary, ScanResult, ScanSimilarity, ScanSource, ScanSummary, SimilarityToOtherRepeats,
    TargetResult, TargetWeighting,
};
use crate::report::{self, MatrixPicture, Neural};
use crate::run::Context;
use anyhow::{Result, ensure};
use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::median;
use brainprior_response_model::Recovery;
use std::path::PathBuf;

/// Largest number of images of a matrix whose numbers the page contains.
const MOST_IMAGES: usize = 200;

/// The last finished stage before training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    Scans,
    Response,
    Similarity,
}

/// Results of these stages.
pub(super) struct Measured {
    pub(super) scans: Vec<ScanResult>,
    pub(super) weights: Option<TargetWeighting>,
    pub(super) targets: Vec<TargetResult>,
    pub(super) neural: Neural,
}

impl Measured {
    /// Reads what the stages wrote, up to this one.
    pub(super) fn gather(context: &Context, reached: Reached) -> Result<Self> {
        let loaded = scans::load(context)?;
        let fitted =
            (reached >= Reached::Response).then(|| response::summary(context)).transpose()?;
        let compared =
            (reached >= Reached::Similarity).then(|| similarity::summary(context)).transpose()?;
        let mut neural = Neural { sources: sources(context)?, ..Neural::default() };
        if let Some(ResponseSummary { scans, filters }) = &fitted {
            neural.response_epochs = response::epochs(context)?;
            neural.examples = scans.iter().flat_map(|scan| scan.examples.iter().cloned()).collect();
            neural.correlations = scans.iter().map(|scan| scan.correlations.clone()).collect();
            neural.fields = scans.iter().map(|scan| scan.fields.clone()).collect();
            neural.filters = filters.clone();
            neural.recoveries = recoveries(context, &loaded)?;
        }
        let (of_scans, weights, targets) = match compared {
            None => (Vec::new(), None, Vec::new()),
            Some(found) => (found.scans, Some(found.weights), found.targets),
        };
        if reached >= Reached::Similarity {
            neural.matrices = pictures(context, &loaded)?;
        }
        let mut of_scans = of_scans.into_iter();
        let scan = |(index, loaded): (usize, &Loaded)| {
            result(loaded, fitted.as_ref().map(|fitted| &fitted.scans[index]), of_scans.next())
        };
        Ok(Self { scans: loaded.iter().enumerate().map(scan).collect(), weights, targets, neural })
    }
}

fn result(
    loaded: &Loaded,
    fitted: Option<&ScanSummary>,
    compared: Option<ScanSimilarity>,
) -> ScanResult {
    let scan = &loaded.scan;
    let mut result = ScanResult {
        name: scan.name().to_owned(),
        neurons: scan.responses().ncols(),
        trials: scan.tiers().len(),
        images: scan.stimuli().len(),
        oracle_images: scan.repeats().len(),
        excluded_neurons: loaded.reliability.excluded,
        oracle: median(&present(&loaded.reliability.oracle_jackknife)),
        test_correlation: None,
        correlation_to_average: None,
        fraction_oracle: None,
        feve: None,
        shares: None,
        verdict: None,
        standardized_over: String::new(),
        similarity_to_truth: None,
        similarity_to_other_repeats: SimilarityToOtherRepeats {
            single_trials: None,
            denoised: None,
            combined: None,
        },
        similarity_weightings: Vec::new(),
    };
    if let Some(fitted) = fitted {
        result.test_correlation.clone_from(&fitted.test_correlation);
        result.correlation_to_average.clone_from(&fitted.correlation_to_average);
        result.fraction_oracle.clone_from(&fitted.fraction_oracle);
        result.feve.clone_from(&fitted.feve);
        result.shares = fitted.shares;
    }
    if let Some(compared) = compared {
        result.verdict = compared.verdict;
        result.standardized_over = compared.standardized_over;
        result.similarity_to_truth = compared.to_truth;
        result.similarity_to_other_repeats = compared.to_other_repeats;
        result.similarity_weightings = compared.weightings;
    }
    result
}

/// A line for each scan, with the notes on its file.
fn sources(context: &Context) -> Result<Vec<String>> {
    let Some(files) = &context.config.scans.files else {
        return Ok(vec!["scans: simulated, with known truth".to_owned()]);
    };
    let read = files.iter().zip(scans::index(context)?.scans);
    let line = |(path, source): (&PathBuf, ScanSource)| {
        let remarks: String = source.remarks.iter().map(|remark| format!("; {remark}")).collect();
        format!("scan: {}{remarks}", path.display())
    };
    Ok(read.map(line).collect())
}

/// The part of an image's name that distinguishes it from the others of a scan.
fn short(id: &ImageId) -> String {
    id.to_string().chars().take(12).collect()
}

/// The values of the neurons that have one.
fn present(values: &[Option<f32>]) -> Vec<f64> {
    values.iter().flatten().copied().map(f64::from).collect()
}

/// Recovery of gaze and gains by the model, for scans with known ground truth.
fn recoveries(context: &Context, loaded: &[Loaded]) -> Result<Vec<(String, Recovery)>> {
    let known = loaded
        .iter()
        .enumerate()
        .filter_map(|(index, loaded)| Some((index, &loaded.scan, loaded.truth.as_ref()?)));
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let model = response::model(context)?;
    known
        .into_iter()
        .map(|(index, scan, truth)| {
            Ok((scan.name().to_owned(), model.recovery(index, scan, &truth.simulation)?))
        })
        .collect()
}

/// The matrices of oracle images, all in the order from clustering of the repeat average, next to
/// some of the images.
fn pictures(context: &Context, loaded: &[Loaded]) -> Result<Vec<MatrixPicture>> {
    let Some(measured) = similarity::oracle_matrix(context, "measured")? else {
        return Ok(Vec::new());
    };
    let shown: Vec<StimulusSet> = loaded.iter().map(response::oracle_stimuli).collect();
    let shown = StimulusSet::union(&shown.iter().collect::<Vec<_>>())?;
    let order = report::order_by_clustering(measured.len(), |i, j| measured.get(i, j));
    let mut pictures = Vec::new();
    for (name, title) in [
        ("truth", "Known truth"),
        ("measured", "Measured, average of repeats"),
        ("denoised", "Denoised by the model"),
        ("single", "Single trials"),
    ] {
        let Some(matrix) = similarity::oracle_matrix(context, name)? else { continue };
        ensure!(
            matrix.ids() == measured.ids(),
            "the oracle matrices {name} and measured hold different images; run stage similarity again"
        );
        let mut sizes: Vec<f32> = matrix.packed().iter().map(|value| value.abs()).collect();
        sizes.sort_by(f32::total_cmp);
        let limit = sizes.get(sizes.len() * 98 / 100).copied().unwrap_or(1.0).max(1e-3);
        let image = |i: usize| {
            let place = shown.position(matrix.ids()[order[i]]).expect("an oracle image");
            report::Thumbnail {
                height: shown.height(),
                width: shown.width(),
                pixels: shown.image(place),
            }
        };
        let heatmap =
            report::heatmap(order.len(), limit, |i, j| matrix.get(order[i], order[j]), image)?;
        let row = |i: usize| {
            (
                short(&matrix.ids()[order[i]]),
                order.iter().map(|&j| matrix.get(order[i], j)).collect(),
            )
        };
        let shown = if order.len() <= MOST_IMAGES { 0..order.len() } else { 0..0 };
        pictures.push(MatrixPicture {
            name: title.to_owned(),
            heatmap,
            limit,
            values: shown.map(row).collect(),
            file: format!("similarity/{}", similarity::oracle_file(name)),
        });
    }
    Ok(pictures)
}
