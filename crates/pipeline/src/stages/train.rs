//! Stage `train`: one classifier for every arm of the grid and every seed, side by side.

use super::{Inputs, Outcome, Stage, similarity};
use crate::artifacts::TrainingEpoch;
use crate::config::{Arm, Target};
use crate::grid::Part;
use crate::run::{Context, Key, Record, jobs};
use anyhow::{Context as _, Result};
use brainprior_artifact::json;
use brainprior_classifier::{self as classifier, Evaluation, ResNet, TrainConfig, TrainEvent, epochs_to_match, train_on};
use brainprior_images::LabeledImages;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

const HISTORY: &str = "history.json";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";
/// Beside the artifact rather than of it: times differ from run to run.
const SPEED: &str = "speed.json";
/// Images of a target of labels, like those of a scan.
const LABELLED_STIMULI: usize = 5000;

/// Trains every selected part that is not trained yet.
pub(super) struct Train;

impl Stage for Train {
    fn name(&self) -> &'static str {
        "train"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["scans", "images", "similarity"]
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let (early, ordinary): (Vec<Part>, Vec<Part>) =
            Part::selected(context).into_iter().partition(|part| part.condition.stop_at_accuracy_of().is_some());
        // What another process works on comes last: by then it may be done.
        let first = jobs::run(ordinary, |part| match context.run.is_busy(&part.task("train"))? {
            true => Ok((part, None)),
            false => Ok((part, Some(task(context, inputs, part)?))),
        })?;
        let (done, busy): (Vec<_>, Vec<_>) = first.into_iter().partition(|(_, record)| record.is_some());
        let mut records: Vec<Option<Record>> = done.into_iter().map(|(_, record)| record.flatten()).collect();
        records.extend(jobs::run(busy, |(part, _)| task(context, inputs, part))?);
        records.extend(jobs::run(early, |part| stop_early(context, inputs, part))?);
        Ok(Outcome::Done(records.into_iter().flatten().collect()))
    }
}

/// The parts that were asked for and are trained, in the order in which they stand in results.
pub(crate) fn trained<'a>(context: &'a Context, inputs: &Inputs<'a>) -> Vec<(Part<'a>, &'a Record)> {
    let mut trained: Vec<_> =
        Part::selected(context).into_iter().filter_map(|part| Some((part, inputs.find(&part.task("train"))?))).collect();
    trained.sort_by_key(|(part, _)| part.place(context));
    trained
}

fn task(context: &Context, inputs: &Inputs, part: Part) -> Result<Option<Record>> {
    let key = key(context, inputs, part)?;
    let seed = key.seed();
    context.task(key, |folder| train_one(context, part, seed, None, folder))
}

/// Every part of the grid, selected or not, that is trained already.
pub(crate) fn finished<'a>(context: &'a Context, inputs: &Inputs) -> Result<Vec<(Part<'a>, Record)>> {
    let mut finished = Vec::new();
    for part in Part::all(context) {
        let key = early_key(context, inputs, part, |other| Ok(context.run.finished(&key(context, inputs, other)?).ok()))?;
        finished.extend(key.and_then(|key| Some((part, context.run.finished(&key).ok()?))));
    }
    finished.sort_by_key(|(part, _)| part.place(context));
    Ok(finished)
}

/// The key of a part; that of one that is stopped early also depends on how the two networks that it is compared with were trained.
/// None as long as `record` lacks one of them.
fn early_key<'a>(
    context: &'a Context,
    inputs: &Inputs,
    part: Part<'a>,
    record: impl Fn(Part<'a>) -> Result<Option<Record>>,
) -> Result<Option<Key>> {
    let mut key = key(context, inputs, part)?;
    for other in compared(context, part)?.into_iter().flatten() {
        let Some(record) = record(other)? else { return Ok(None) };
        key = key.input(&format!("{}/{HISTORY}", record.key.task()), &record.outputs[HISTORY]);
    }
    Ok(Some(key))
}

/// The same training again, up to the first epoch with the accuracy on held-out images that the other network was kept for.
fn stop_early(context: &Context, inputs: &Inputs, part: Part) -> Result<Option<Record>> {
    let sources = compared(context, part)?.context("a part that is not stopped early")?;
    let key = early_key(context, inputs, part, |other| {
        let done = context.run.finished(&key(context, inputs, other)?).ok();
        // Already named by a dry run, as parts of their own.
        if done.is_some() || context.run.is_dry() { Ok(done) } else { task(context, inputs, other) }
    })?;
    let Some(key) = key else {
        context.progress.would_run(&part.task("train"));
        return Ok(None);
    };
    let seed = key.seed();
    context.task(key, |folder| {
        let [baseline, other] = sources.map(|part| history(context, part));
        let (baseline, other) = (baseline?, other?);
        let held_out = |epochs: &[TrainingEpoch]| -> Vec<Evaluation> {
            let evaluation =
                |epoch: &TrainingEpoch| Evaluation { loss: epoch.validation_loss, accuracy: epoch.validation_accuracy };
            epochs.iter().map(evaluation).collect()
        };
        let epochs = epochs_to_match(&held_out(&baseline), &held_out(&other))?;
        context.progress.line(&format!("    {} stops after epoch {epochs}", part.task("train")));
        train_one(context, part, seed, Some(epochs), folder)
    })
}

/// What is compared to find where a part is stopped early: the same training to its end, and the network whose accuracy it is to reach.
fn compared<'a>(context: &'a Context, part: Part<'a>) -> Result<Option<[Part<'a>; 2]>> {
    let arms = context.config.training.compared(part.condition)?;
    Ok(arms.map(|arms| arms.map(|condition| Part { condition, seed: part.seed })))
}

/// What a network depends on beside its inputs: what else the grid holds does not change it.
#[derive(Serialize)]
struct Settings<'a> {
    target: &'a str,
    stop_at_accuracy_of: Option<&'a str>,
    training: &'a TrainConfig,
}

impl<'a> Settings<'a> {
    fn of(arm: &'a Arm) -> Self {
        Self { target: arm.target().name(), stop_at_accuracy_of: arm.stop_at_accuracy_of(), training: arm.training() }
    }
}

fn key(context: &Context, inputs: &Inputs, part: Part) -> Result<Key> {
    // Networks of one seed begin with the same weights whatever their condition, so that conditions are compared in pairs.
    let seed = context.config.seed_of(&format!("train/seed{}", part.seed));
    let settings = Settings::of(part.condition);
    let mut key = Key::new(&part.task("train"), settings, seed).on(&context.device).after(inputs.of("images")?);
    if let Some(target) = part.condition.target().matrix() {
        let file = similarity::file_of(target);
        let hash = inputs.of("similarity")?.outputs.get(&file).with_context(|| format!("stage `similarity` wrote no {file}"))?;
        key = key.input("target", hash).after(inputs.of("scans")?);
    }
    Ok(key)
}

fn target(context: &Context, target: Target, train: &LabeledImages) -> Result<classifier::Target> {
    match target {
        Target::None => Ok(classifier::Target::None),
        Target::Labels => similarity::of_labels(train, LABELLED_STIMULI),
        Target::Matrix(target) => {
            let matrix = similarity::load(context, target)?;
            let loaded = super::scans::load(context)?;
            Ok(classifier::Target::Similarity { stimuli: similarity::stimuli_of(context, target, &loaded)?, matrix })
        }
    }
}

fn train_one(context: &Context, part: Part, seed: u64, stop_after: Option<usize>, folder: &Path) -> Result<Vec<String>> {
    let data = super::images::load(context)?;
    let target = target(context, part.condition.target(), &data.train)?;
    let training = part.condition.training().clone();
    let config = TrainConfig { stop_after: stop_after.or(training.stop_after), ..training };
    let mut bar = context.progress.bar(&part.task("train"), 1);
    let mut message = String::new();
    let mut speeds = Vec::new();
    let trained = train_on(&context.device, &data.train, &target, &config, seed, folder, &mut |event| match event {
        TrainEvent::Step { done, total, loss, similarity_loss, images_per_second, .. } => {
            speeds.push(images_per_second);
            let similarity = similarity_loss.map_or(String::new(), |loss| format!(", similarity {loss:.3}"));
            let text = format!("loss {loss:.3}{similarity}, {images_per_second:.0} images/s{message}");
            bar.set(done as u64, total as u64, &text);
        }
        TrainEvent::Epoch(epoch) => {
            let share = |share: &f64| format!("{share:.2}");
            let pairs = epoch.pair_correlation.map_or(String::new(), |correlation| {
                let gamma = epoch.gamma.iter().map(share).collect::<Vec<_>>().join(" ");
                format!(", pairs r {correlation:.2}, gamma {gamma}")
            });
            message = format!("; validation {:.1}%{pairs}", 100.0 * epoch.validation_accuracy);
        }
    })?;
    drop(bar);
    let history: Vec<TrainingEpoch> = trained
        .epochs
        .iter()
        .map(|epoch| TrainingEpoch {
            epoch: epoch.epoch + 1,
            loss: epoch.loss,
            cross_entropy: epoch.cross_entropy,
            similarity_loss: epoch.similarity_loss,
            train_accuracy: epoch.train_accuracy,
            validation_loss: epoch.validation_loss,
            validation_accuracy: epoch.validation_accuracy,
            pair_correlation: epoch.pair_correlation,
            gamma: epoch.gamma.clone(),
        })
        .collect();
    json::write(&folder.join(HISTORY), &history)?;
    if !speeds.is_empty() {
        speeds.sort_by(f64::total_cmp);
        json::write(&folder.join(SPEED), &speeds[speeds.len() / 2])?;
    }
    let mut outputs = vec![BEST.to_owned(), LAST.to_owned(), HISTORY.to_owned()];
    if config.snapshots {
        outputs.extend((1..=history.len()).map(snapshot_file));
    }
    Ok(outputs)
}

/// The network after `epoch`, from 1.
fn snapshot_file(epoch: usize) -> String {
    format!("epoch-{epoch:03}.safetensors")
}

/// The trained network of a part: that of the lowest validation loss, or where it was stopped.
pub(crate) fn network(context: &Context, part: Part) -> Result<ResNet> {
    let file = if part.condition.stop_at_accuracy_of().is_some() { LAST } else { BEST };
    Ok(ResNet::load(&context.run.folder(&part.task("train")).join(file))?.to_device(&context.device)?)
}

/// The network of a part after `epoch`, from 1.
pub(crate) fn snapshot(context: &Context, part: Part, epoch: usize) -> Result<ResNet> {
    Ok(ResNet::load(&context.run.folder(&part.task("train")).join(snapshot_file(epoch)))?.to_device(&context.device)?)
}

/// The history of a part.
pub(crate) fn history(context: &Context, part: Part) -> Result<Vec<TrainingEpoch>> {
    Ok(json::read(&context.run.folder(&part.task("train")).join(HISTORY))?)
}

/// The histories of all parts, by condition and seed.
pub(crate) fn histories(context: &Context) -> Result<BTreeMap<(String, u64), Vec<TrainingEpoch>>> {
    Part::all(context)
        .into_iter()
        .map(|part| Ok(((part.condition.name().to_owned(), part.seed), history(context, part)?)))
        .collect()
}

/// Labeled images a second in the median step of each part, where it was measured.
pub(crate) fn speeds(context: &Context) -> BTreeMap<String, f64> {
    let speed = |part: Part| {
        let path = context.run.folder(&part.task("train")).join(SPEED);
        Some((part.task("train"), json::read(&path).ok()?))
    };
    Part::all(context).into_iter().filter_map(speed).collect()
}
