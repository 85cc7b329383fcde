//! What the networks of the grid depend on.

use super::HISTORY;
use crate::config::Arm;
use crate::grid::Part;
use crate::run::{Context, Key, Record};
use crate::stages::{Inputs, similarity};
use anyhow::{Context as _, Result};
use brainprior_classifier::TrainConfig;
use serde::Serialize;

/// The key of a network that is trained to the end.
pub(super) fn key(context: &Context, inputs: &Inputs, part: Part) -> Result<Key> {
    // Networks of one seed begin with the same weights whatever their condition, so that conditions are compared in pairs.
    let seed = context.config.seed_of(&format!("train/seed{}", part.seed));
    let settings = Settings::of(part.condition);
    let key = Key::new(&part.task("train"), settings, seed).on(&context.device).in_precision(part.condition.training().precision);
    let mut key = key.after(inputs.of("images")?);
    if let Some(target) = part.condition.target().matrix() {
        let file = similarity::file_of(target);
        let hash = inputs.of("similarity")?.outputs.get(&file).with_context(|| format!("stage `similarity` wrote no {file}"))?;
        key = key.input("target", hash).after(inputs.of("scans")?);
    }
    Ok(key)
}

/// The key of a part; that of one that is stopped early also depends on how the two networks that it is compared with were trained.
/// None as long as `record` lacks one of them.
pub(super) fn early_key<'a>(
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

/// What is compared to find where a part is stopped early: the same training to its end, and the network whose accuracy it is to
/// reach. Nothing for a part that is not.
pub(super) fn compared<'a>(context: &'a Context, part: Part<'a>) -> Result<Option<[Part<'a>; 2]>> {
    let arms = context.config.training.compared(part.condition)?;
    Ok(arms.map(|arms| arms.map(|condition| Part { condition, seed: part.seed })))
}

/// What a network depends on beside its inputs: what else the grid holds does not change it.
#[derive(Serialize)]
struct Settings<'a> {
    target: &'static str,
    stop_at_accuracy_of: Option<&'a str>,
    training: &'a TrainConfig,
}

impl<'a> Settings<'a> {
    fn of(arm: &'a Arm) -> Self {
        Self { target: arm.target().name(), stop_at_accuracy_of: arm.stop_at_accuracy_of(), training: arm.training() }
    }
}
