//! Stage `train`: one classifier per condition and seed, in parallel.

mod followed;
mod key;
mod network;

use super::{Inputs, Outcome, Stage};
use crate::artifacts::{Pull, TrainingEpoch};
use crate::config::Keep;
use crate::grid::Part;
use crate::run::{Context, Record, jobs};
use anyhow::Result;
use brainprior_artifact::json;
use brainprior_classifier::ResNet;
use key::key;
use network::train_one;
use std::collections::BTreeMap;

const HISTORY: &str = "history.json";
const PULL: &str = "pull.json";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";
/// Stored with the artifact but not part of it: times differ from run to run.
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
        // Tasks of other processes come last: they may be finished by then.
        let first = jobs::run(Part::selected(context), |part| {
            match context.run.is_busy(&part.task("train"))? {
                true => Ok((part, None)),
                false => Ok((part, Some(task(context, inputs, part)?))),
            }
        })?;
        let (done, busy): (Vec<_>, Vec<_>) =
            first.into_iter().partition(|(_, record)| record.is_some());
        let mut records: Vec<Option<Record>> =
            done.into_iter().map(|(_, record)| record.flatten()).collect();
        records.extend(jobs::run(busy, |(part, _)| task(context, inputs, part))?);
        Ok(Outcome::Done(records.into_iter().flatten().collect()))
    }
}

/// The selected parts that are trained, in the order of the results.
pub(crate) fn trained<'a>(
    context: &'a Context,
    inputs: &Inputs<'a>,
) -> Vec<(Part<'a>, &'a Record)> {
    let mut trained: Vec<_> = Part::selected(context)
        .into_iter()
        .filter_map(|part| Some((part, inputs.find(&part.task("train"))?)))
        .collect();
    trained.sort_by_key(|(part, _)| part.place(context));
    trained
}

fn task(context: &Context, inputs: &Inputs, part: Part) -> Result<Option<Record>> {
    let key = key(context, inputs, part)?;
    let seed = key.seed();
    let record = context.task(key, |folder| train_one(context, part, seed, folder))?;
    inputs.page.refresh(context);
    Ok(record)
}

/// Every trained part of the grid, selected or not.
pub(crate) fn finished<'a>(
    context: &'a Context,
    inputs: &Inputs,
) -> Result<Vec<(Part<'a>, Record)>> {
    let mut finished = Vec::new();
    for part in Part::all(context) {
        finished.extend(
            context.run.finished(&key(context, inputs, part)?).ok().map(|record| (part, record)),
        );
    }
    finished.sort_by_key(|(part, _)| part.place(context));
    Ok(finished)
}

/// Every trained part of the grid with its record; the outputs are not checked.
pub(super) fn recorded<'a>(
    context: &'a Context,
    inputs: &Inputs,
) -> Result<Vec<(Part<'a>, Record)>> {
    let mut recorded = Vec::new();
    for part in Part::all(context) {
        recorded.extend(
            context.run.recorded(&key(context, inputs, part)?).map(|record| (part, record)),
        );
    }
    recorded.sort_by_key(|(part, _)| part.place(context));
    Ok(recorded)
}

/// The network after `epoch`, from 1.
fn snapshot_file(epoch: usize) -> String {
    format!("epoch-{epoch:03}.safetensors")
}

/// File of a part's network that is evaluated.
pub(crate) fn kept_file(part: Part) -> &'static str {
    match part.condition.keep() {
        Keep::Best => BEST,
        Keep::Last => LAST,
    }
}

/// The network of a part that is evaluated.
pub(crate) fn network(context: &Context, part: Part) -> Result<ResNet> {
    Ok(ResNet::load(&context.run.folder(&part.task("train")).join(kept_file(part)))?
        .to_device(&context.device)?)
}

/// Index in a part's history of the network that is evaluated.
pub(crate) fn kept_place(part: Part, history: &[TrainingEpoch]) -> usize {
    let loss = |place: &usize| history[*place].validation_loss;
    let best = || (0..history.len()).min_by(|a, b| loss(a).total_cmp(&loss(b)));
    let last = history.len().saturating_sub(1);
    match part.condition.keep() {
        Keep::Best => best().unwrap_or(last),
        Keep::Last => last,
    }
}

/// Strength of a part's target; `None` without a target.
pub(crate) fn pull(context: &Context, part: Part) -> Result<Option<Pull>> {
    Ok(json::read(&context.run.folder(&part.task("train")).join(PULL))?)
}

/// The network of a part after `epoch`, from 1.
pub(crate) fn snapshot(context: &Context, part: Part, epoch: usize) -> Result<ResNet> {
    Ok(ResNet::load(&context.run.folder(&part.task("train")).join(snapshot_file(epoch)))?
        .to_device(&context.device)?)
}

/// The history of a part.
pub(crate) fn history(context: &Context, part: Part) -> Result<Vec<TrainingEpoch>> {
    Ok(json::read(&context.run.folder(&part.task("train")).join(HISTORY))?)
}

/// The histories of these parts, by condition and seed.
pub(crate) fn histories(
    context: &Context,
    parts: &[Part],
) -> Result<BTreeMap<(String, u64), Vec<TrainingEpoch>>> {
    parts
        .iter()
        .map(|part| Ok(((part.condition.name().to_owned(), part.seed), history(context, *part)?)))
        .collect()
}

/// Labeled images per second in the median step of each part; `None` if a killed training made no
/// step after it resumed.
pub(crate) fn speeds(context: &Context, parts: &[Part]) -> BTreeMap<String, Option<f64>> {
    let speed = |part: &Part| {
        let path = context.run.folder(&part.task("train")).join(SPEED);
        (part.task("train"), json::read::<Option<f64>>(&path).ok().flatten())
    };
    parts.iter().map(speed).collect()
}
