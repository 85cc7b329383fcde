//! Stage `response`: fits one model to all scans, evaluates it on held-out trials, and predicts
//! responses to every stimulus.

pub(crate) mod denoiser;
mod observer;
mod summary;

use super::scans::Loaded;
use super::{Inputs, Outcome, Stage, features};
use crate::artifacts::{ResponseEpoch, ResponseSummary};
use crate::config::{self, FixedNetwork};
use crate::run::{Context, Key};
use anyhow::{Context as _, Result};
use brainprior_artifact::{hash, json, replace};
use brainprior_images::StimulusSet;
use brainprior_recording::{Responses, Scan, Tier};
use brainprior_response_model::{CrossFitted, Ensemble, Features, FitOptions, ResponseModel, fit};
use denoiser::{Denoiser, Fitted};
use ndarray::Axis;
use observer::{Curves, FitProgress};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MODEL: &str = "model.safetensors";
const SUMMARY: &str = "summary.json";
const EPOCHS: &str = "epochs.json";

/// Predicted responses of one scan's neurons.
pub(crate) struct Predicted {
    /// For every image of the target.
    pub(crate) target: Responses,
    /// For the scan's oracle images, on which no model was trained.
    pub(crate) oracle: Responses,
}

/// The stage.
pub(super) struct Response;

impl Stage for Response {
    fn name(&self) -> &'static str {
        "response"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["scans"]
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let scans = inputs.of("scans")?;
        let config = &context.config;
        let settings = (&config.response, &config.prediction, config.folds());
        let mut key = Key::new("response", settings, config.seed_of("response"))
            .on(&context.device)
            .in_precision(config.response.optimization.precision)
            .after(scans)
            .given(scans, "scan");
        key = super::scans::read_by(key, context);
        if let Some(network) = config.prediction.network.file() {
            key = key.input("network", &hash::of_path(network)?).lies_at("network", network);
        }
        let seed = key.seed();
        Ok(context.task(key, |folder| fit_and_predict(context, seed, folder))?.into())
    }
}

fn fit_and_predict(context: &Context, seed: u64, folder: &Path) -> Result<Vec<String>> {
    let config = &context.config;
    let loaded = super::scans::load(context)?;
    let scans: Vec<&Scan> = loaded.iter().map(|loaded| &loaded.scan).collect();
    // Before the fits, which take long: a network that cannot be used is found at once.
    let features = fixed_features(context, &scans)?;
    let mut progress = FitProgress::new(context, folder);
    let mut outputs = vec![SUMMARY.to_owned()];
    let mut models = Vec::new();
    for fit_of in 0..config.prediction.seeds {
        let checkpoint = folder.join(format!("seed{fit_of}.checkpoint"));
        progress.start(format!("seed {fit_of}"));
        let mut observer = |event| progress.observe(&event);
        let options = FitOptions {
            device: context.device.clone(),
            seed: seed.wrapping_add(fit_of),
            checkpoint: Some(&checkpoint),
            observer: Some(&mut observer),
        };
        let model = fit(&scans, &config.response, options)?;
        progress.check()?;
        let file = model_file(fit_of);
        model.save(&folder.join(&file))?;
        outputs.extend([config_file(&file), file]);
        models.push(model);
    }
    let ensemble = Ensemble::new(models, &scans)?;
    let crossed = match config.folds() {
        None => None,
        Some(folds) => {
            let mut observer = |event| progress.observe(&event);
            let options = FitOptions {
                device: context.device.clone(),
                seed,
                checkpoint: Some(folder),
                observer: Some(&mut observer),
            };
            let crossed = CrossFitted::fit(&scans, &config.response, folds, options)?;
            progress.check()?;
            Some(crossed)
        }
    };
    drop(progress);
    let target = target_stimuli(&loaded)?;
    let fitted = Fitted {
        convolutional: true,
        ensemble: &ensemble,
        crossed: crossed.as_ref(),
        features: features.as_ref(),
    };
    let mut summaries = Vec::new();
    for (index, loaded) in loaded.iter().enumerate() {
        let denoiser = Denoiser::new(fitted, index, &loaded.scan, seed)?;
        denoiser.predict(&target)?.write(&folder.join(target_file(index)))?;
        let oracle = denoiser.predict(&oracle_stimuli(loaded))?;
        oracle.write(&folder.join(oracle_file(index)))?;
        outputs.extend([target_file(index), oracle_file(index)]);
        let metrics = denoiser.metrics(seed)?;
        let table = format!("neurons-{index}.csv");
        replace::bytes(
            &folder.join(&table),
            summary::neuron_table(loaded, denoiser.v(), &metrics)?.as_bytes(),
        )?;
        outputs.push(table);
        let positions = ensemble.models()[0].positions(index)?;
        summaries.push(summary::of_scan(loaded, &denoiser, &metrics, &oracle, &positions));
    }
    let filters = ensemble.models()[0].filters()?;
    let mut pictures: Vec<Vec<Vec<f32>>> = Vec::new();
    for plane in filters.axis_iter(Axis(1)) {
        pictures.extend(
            plane
                .outer_iter()
                .map(|filter| filter.rows().into_iter().map(|row| row.to_vec()).collect()),
        );
    }
    json::write(&folder.join(SUMMARY), &ResponseSummary { scans: summaries, filters: pictures })?;
    for checkpoint in checkpoints(folder)? {
        std::fs::remove_file(checkpoint).context("could not remove a fit's checkpoint")?;
    }
    Ok(outputs)
}

/// Features of every image of the scans, if linear readouts are mixed in.
fn fixed_features(context: &Context, scans: &[&Scan]) -> Result<Option<Features>> {
    let config = &context.config.prediction;
    if config.denoiser == config::Denoiser::Convolutional {
        return Ok(None);
    }
    if config.network == FixedNetwork::BuiltIn && context.config.images.file.is_some() {
        context.progress.line(
            "    fixed features come from a network trained on CIFAR-10; if the networks of this run learn CIFAR-10, set prediction.network \
             = \"none\", so that their targets do not know it",
        );
    }
    let stimuli = StimulusSet::union(&scans.iter().map(|scan| scan.stimuli()).collect::<Vec<_>>())?;
    Ok(Some(features::of(config, &stimuli)?))
}

/// The first model has the same name as the only model of a run.
fn model_file(seed: u64) -> String {
    if seed == 0 { MODEL.to_owned() } else { format!("model-{seed}.safetensors") }
}

fn config_file(model: &str) -> String {
    Path::new(model).with_extension("json").to_string_lossy().into_owned()
}

fn checkpoints(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("could not list {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint"))
        .collect())
}

fn target_file(index: usize) -> String {
    format!("predicted-{index}.h5")
}

fn oracle_file(index: usize) -> String {
    format!("predicted-oracle-{index}.h5")
}

/// Every image that some scan shows outside its test tier.
pub(crate) fn target_stimuli(loaded: &[Loaded]) -> Result<StimulusSet> {
    let sets: Vec<StimulusSet> = loaded
        .iter()
        .map(|loaded| {
            let scan = &loaded.scan;
            let mut shown = vec![false; scan.stimuli().len()];
            for (image, tier) in scan.trial_image().iter().zip(scan.tiers()) {
                shown[*image] |= *tier != Tier::Test;
            }
            scan.stimuli()
                .subset(&(0..shown.len()).filter(|index| shown[*index]).collect::<Vec<_>>())
        })
        .collect();
    Ok(StimulusSet::union(&sets.iter().collect::<Vec<_>>())?)
}

/// The repeated images of a scan, in the order of [`brainprior_recording::Scan::repeat_means`].
pub(crate) fn oracle_stimuli(loaded: &Loaded) -> StimulusSet {
    loaded.scan.stimuli().subset(&loaded.scan.repeats().into_keys().collect::<Vec<_>>())
}

/// The stage's summary.
pub(crate) fn summary(context: &Context) -> Result<ResponseSummary> {
    Ok(json::read(&context.run.folder("response").join(SUMMARY))?)
}

/// The model of the first seed.
pub(crate) fn model(context: &Context) -> Result<ResponseModel> {
    Ok(ResponseModel::load(&context.run.folder("response").join(model_file(0)))?)
}

/// The learning curve of each fit, by its name.
pub(crate) fn epochs(context: &Context) -> Result<BTreeMap<String, Vec<ResponseEpoch>>> {
    let curves: Curves = json::read(&context.run.folder("response").join(EPOCHS))?;
    Ok(curves.into_iter().map(|(fit, curve)| (fit, curve.into_values().collect())).collect())
}

/// Predictions for every scan, in the order of the scans.
pub(crate) fn predictions(context: &Context, scans: usize) -> Result<Vec<Predicted>> {
    let folder = context.run.folder("response");
    let read = |file: String| Responses::read(&folder.join(file));
    (0..scans)
        .map(|index| {
            Ok(Predicted { target: read(target_file(index))?, oracle: read(oracle_file(index))? })
        })
        .collect()
}
