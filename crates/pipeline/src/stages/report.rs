//! Stage `report`: gathers every figure into `results.json` and draws `report.html`.

use super::{Inputs, Outcome, Stage, comparisons, response, robustness, scans, similarity, trade_off, train};
use crate::artifacts::{Results, ScanResult, ScanSource, summarize};
use crate::grid::Part;
use crate::report::{self, Content, MatrixPicture};
use crate::run::{Context, DeviceName, described};
use anyhow::{Result, ensure};
use brainprior_artifact::{hash, json, replace};
use brainprior_classifier::NetConfig;
use brainprior_images::StimulusSet;
use brainprior_kernels::Precision;
use brainprior_recording::median;
use brainprior_response_model::Recovery;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Version of `results.json`, as in `data-specs/results.toml`.
const RESULTS_VERSION: u32 = 3;

/// Every figure of the run.
pub(super) const RESULTS: &str = "results.json";
/// How long each task took, apart from what equal runs have in common.
const TIMES: &str = "times.json";
/// The page.
pub(super) const REPORT: &str = "report.html";

/// Writes `results.json`, `times.json` and `report.html` of a whole grid.
pub(super) struct Report;

impl Stage for Report {
    fn name(&self) -> &'static str {
        "report"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["scans", "images", "response", "similarity", "train", "trade-off", "robustness"]
    }

    /// It is no task: it is written anew in each run that gets so far.
    fn is_wanted(&self, context: &Context) -> bool {
        !context.run.is_dry() && context.selection.is_all()
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let root = context.run.root();
        let config = &context.config;
        let loaded = scans::load(context)?;
        let fitted = response::summary(context)?;
        let compared = similarity::summary(context)?;
        let scans: Vec<ScanResult> = loaded
            .iter()
            .zip(&fitted.scans)
            .zip(compared.scans)
            .map(|((loaded, fitted), compared)| ScanResult {
                name: fitted.name.clone(),
                neurons: loaded.scan.responses().ncols(),
                trials: loaded.scan.tiers().len(),
                images: loaded.scan.stimuli().len(),
                oracle_images: loaded.scan.repeats().len(),
                excluded_neurons: loaded.reliability.excluded,
                oracle: median(&present(&loaded.reliability.oracle_jackknife)),
                test_correlation: fitted.test_correlation.clone(),
                correlation_to_average: fitted.correlation_to_average.clone(),
                fraction_oracle: fitted.fraction_oracle.clone(),
                feve: fitted.feve.clone(),
                shares: fitted.shares,
                verdict: compared.verdict,
                standardized_over: compared.standardized_over,
                similarity_to_truth: compared.to_truth,
                similarity_to_other_repeats: compared.to_other_repeats,
                similarity_weightings: compared.weightings,
            })
            .collect();
        let mut networks = Vec::new();
        for condition in &config.training.conditions {
            for seed in 0..config.training.seeds {
                networks.push(robustness::load(context, Part { condition, seed })?);
            }
        }
        let settings = config.to_toml()?;
        let mixed =
            config.training.conditions.iter().map(|arm| arm.training().precision).chain([config.response.optimization.precision]);
        let precision = if mixed.into_iter().all(|precision| precision.is_f32()) { Precision::F32 } else { Precision::Mixed };
        let results = Results {
            format: "brainprior-results".into(),
            version: RESULTS_VERSION,
            name: config.name.clone(),
            crate_version: env!("CARGO_PKG_VERSION").into(),
            config_hash: hash::of_bytes(serde_json::to_string(config)?.as_bytes()),
            seed: config.seed,
            device: described(DeviceName::of(&context.device).name(), precision),
            scans,
            weights: Some(compared.weights),
            targets: compared.targets,
            conditions: summarize(&networks),
            comparisons: comparisons::all(context, &networks)?,
            networks,
        };
        json::write(&root.join(RESULTS), &results)?;
        let seconds: BTreeMap<String, f64> =
            inputs.0.iter().map(|record| (record.key.task().to_owned(), record.seconds)).collect();
        json::write(&root.join(TIMES), &seconds)?;
        let sources = match &config.scans.files {
            None => vec!["scans: simulated, with known truth".to_owned()],
            Some(files) => {
                let read = files.iter().zip(scans::index(context)?.scans);
                let line = |(path, source): (&PathBuf, ScanSource)| {
                    let remarks: String = source.remarks.iter().map(|remark| format!("; {remark}")).collect();
                    format!("scan: {}{remarks}", path.display())
                };
                read.map(line).collect()
            }
        };
        let content = Content {
            results: &results,
            seconds: &seconds,
            response_epochs: response::epochs(context)?,
            training: train::histories(context)?,
            speeds: train::speeds(context),
            trade_off: trade_off::curves(context)?,
            layers: NetConfig { blocks: config.training.common.blocks.clone(), ..NetConfig::default() }.layer_depths(),
            left_out: fitted.scans.iter().map(|scan| scan.left_out).collect(),
            examples: fitted.scans.iter().flat_map(|scan| scan.examples.iter().cloned()).collect(),
            correlations: fitted.scans.iter().map(|scan| scan.correlations.clone()).collect(),
            fields: fitted.scans.iter().map(|scan| scan.fields.clone()).collect(),
            filters: fitted.filters,
            recoveries: recoveries(context, &loaded)?,
            matrices: pictures(context, &loaded)?,
            adversarial: config
                .training
                .conditions
                .iter()
                .map(|condition| Ok((condition.name().to_owned(), robustness::pictures(context, Part { condition, seed: 0 })?)))
                .collect::<Result<_>>()?,
            settings,
            sources,
        };
        replace::bytes(&root.join(REPORT), report::render(&content)?.as_bytes())?;
        Ok(Outcome::Done(Vec::new()))
    }
}

/// The values of the neurons that have one.
fn present(values: &[Option<f32>]) -> Vec<f64> {
    values.iter().flatten().copied().map(f64::from).collect()
}

/// What the model found of gaze and gains, by scan, where the truth is known.
fn recoveries(context: &Context, loaded: &[scans::Loaded]) -> Result<Vec<(String, Recovery)>> {
    let known = loaded.iter().enumerate().filter_map(|(index, loaded)| Some((index, &loaded.scan, loaded.truth.as_ref()?)));
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let model = response::model(context)?;
    known
        .into_iter()
        .map(|(index, scan, truth)| Ok((scan.name().to_owned(), model.recovery(index, scan, &truth.simulation)?)))
        .collect()
}

/// The matrices of oracle images, all in the order that clustering the repeat average suggests, with some of the images beside.
fn pictures(context: &Context, loaded: &[scans::Loaded]) -> Result<Vec<MatrixPicture>> {
    let Some(measured) = similarity::oracle_matrix(context, "measured")? else { return Ok(Vec::new()) };
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
            report::Thumbnail { height: shown.height(), width: shown.width(), pixels: shown.image(place) }
        };
        let uri = report::data_uri(order.len(), limit, |i, j| matrix.get(order[i], order[j]), image)?;
        pictures.push(MatrixPicture { name: title.to_owned(), uri, limit });
    }
    Ok(pictures)
}
