//! The key of a network.

use crate::config::Arm;
use crate::grid::Part;
use crate::run::{Context, Key};
use crate::stages::{Inputs, similarity};
use anyhow::{Context as _, Result};
use brainprior_classifier::TrainConfig;
use serde::Serialize;

/// The key of a network.
pub(super) fn key(context: &Context, inputs: &Inputs, part: Part) -> Result<Key> {
    let settings = Settings::of(part.condition);
    let seed = part.seed_of_training(context);
    let key = Key::new(&part.task("train"), settings, seed)
        .on(&context.device)
        .in_precision(part.condition.training().precision);
    let mut key = key.after(inputs.of("images")?);
    if let Some(target) = part.condition.target().matrix() {
        let file = similarity::file_of(target);
        let hash = inputs
            .of("similarity")?
            .outputs
            .get(&file)
            .with_context(|| format!("stage `similarity` wrote no {file}"))?;
        let place = context.run.folder("similarity").join(&file);
        key = key.input("target", hash).lies_at("target", &place).after(inputs.of("scans")?);
    }
    Ok(key)
}

/// Settings on which a network depends, besides its inputs; other parts of the grid do not affect
/// it.
#[derive(Serialize)]
struct Settings<'a> {
    target: &'static str,
    force: Option<f64>,
    training: &'a TrainConfig,
}

impl<'a> Settings<'a> {
    fn of(arm: &'a Arm) -> Self {
        Self { target: arm.target().name(), force: arm.force(), training: arm.training() }
    }
}
