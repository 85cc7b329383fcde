//! What the networks of the grid depend on.

use super::HISTORY;
use crate::config::{Condition, Control, Training};
use crate::grid::Part;
use crate::run::{Context, Key, Record};
use crate::stages::{Inputs, similarity};
use anyhow::{Context as _, Result};

/// The key of a network that is trained to the end.
pub(super) fn key(context: &Context, inputs: &Inputs, part: Part) -> Result<Key> {
    let settings = part.condition.settings(&context.config.training)?;
    let condition = part.condition.condition();
    // Networks of one seed begin with the same weights whatever their condition, so that conditions are compared in pairs.
    let seed = context.config.seed_of(&format!("train/seed{}", part.seed));
    let settings = (condition.name(), relevant(settings, condition));
    let mut key = Key::new(&part.task("train"), settings, seed).on(&context.device).after(inputs.of("images")?);
    if let Some(target) = condition.matrix() {
        let file = similarity::file_of(target);
        let hash = inputs.of("similarity")?.outputs.get(&file).with_context(|| format!("stage `similarity` wrote no {file}"))?;
        key = key.input("target", hash).after(inputs.of("scans")?);
    }
    Ok(key)
}

/// The key of a baseline that is stopped early, which depends on how the two networks that it is compared with were trained;
/// none as long as `record` lacks one of them.
pub(super) fn early_key<'a>(
    context: &'a Context,
    inputs: &Inputs,
    part: Part<'a>,
    record: impl Fn(Part<'a>) -> Result<Option<Record>>,
) -> Result<Option<Key>> {
    let mut key = key(context, inputs, part)?;
    for other in compared(context, part)? {
        let Some(record) = record(other)? else { return Ok(None) };
        key = key.input(&format!("{}/{HISTORY}", record.key.task()), &record.outputs[HISTORY]);
    }
    Ok(Some(key))
}

/// What is compared to find where `stopped-early` stops: the baseline, and the network whose accuracy it matches.
pub(super) fn compared<'a>(context: &'a Context, part: Part<'a>) -> Result<[Part<'a>; 2]> {
    let matches = part.condition.settings(&context.config.training)?.early_matches;
    let of = |name: &str| -> Result<Part<'a>> {
        let arm = context.config.training.conditions.iter().find(|arm| arm.name() == name);
        let condition = arm.with_context(|| format!("`{name}` is not among training.conditions"))?;
        Ok(Part { condition, seed: part.seed })
    };
    Ok([of(Condition::NONE.name())?, of(&matches)?])
}

/// The settings that one network depends on: what else the grid holds does not change it.
pub(super) fn relevant(mut settings: Training, condition: Condition) -> Training {
    settings.conditions.clear();
    settings.seeds = 0;
    if !condition.has_target() {
        (settings.alpha, settings.alpha_warm_up, settings.loss_scale, settings.target_limit) = (0.0, 0.0, 0.0, 0.0);
        settings.pairs = 0;
        settings.layers.clear();
        settings.gamma.clear();
    }
    if !condition.is_stopped_early() {
        settings.early_matches.clear();
    }
    if condition != Condition::Control(Control::NoiseAugmented) {
        settings.noise_std = 0.0;
    }
    if condition != Condition::Control(Control::Adversarial) {
        (settings.attack_epsilon, settings.attack_steps) = (0.0, 0);
    }
    settings
}
