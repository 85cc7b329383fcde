//! Stage `train`: one classifier for every arm of the grid and every seed, side by side.

mod key;
mod network;

use super::{Inputs, Outcome, Stage};
use crate::artifacts::TrainingEpoch;
use crate::grid::Part;
use crate::run::{Context, Record, jobs};
use anyhow::{Context as _, Result};
use brainprior_artifact::json;
use brainprior_classifier::{Evaluation, ResNet, epochs_to_match};
use key::{compared, early_key, key};
use network::train_one;
use std::collections::BTreeMap;

const HISTORY: &str = "history.json";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";
/// Beside the artifact rather than of it: times differ from run to run.
const SPEED: &str = "speed.json";

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

/// The same training again, up to the first epoch with the accuracy on held-out images that the other network was kept for.
fn stop_early(context: &Context, inputs: &Inputs, part: Part) -> Result<Option<Record>> {
    let sources = compared(context, part)?.context("a part that is not stopped early")?;
    let key = early_key(context, inputs, part, |other| {
        let done = context.run.finished(&key(context, inputs, other)?).ok();
        // Already named by a dry run, as parts of their own.
        if done.is_some() || context.run.is_dry() { Ok(done) } else { task(context, inputs, other) }
    })?;
    let Some(key) = key else {
        context.progress.would_run(&part.task("train"), "the networks that it is compared with would be trained");
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
