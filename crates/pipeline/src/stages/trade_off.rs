//! Stage `trade-off`: clean against noisy accuracy after every epoch of every network, where the networks were kept
//! (`training.snapshots`). A regulariser that only trades one for the other moves along the baseline's curve.

use super::train::{self, Part};
use crate::pipeline::adversarial::{Attackable, BATCH, labeled_batch};
use crate::pipeline::conditions::{Arm, Condition};
use crate::pipeline::context::Context;
use crate::pipeline::jobs;
use crate::pipeline::provenance::{self, Key, Record};
use crate::pipeline::report::trade_off;
use crate::pipeline::results::Point;
use anyhow::Result;
use brainprior_robustness::{Clamp, Noise, Settings, accuracy, noise_curve};
use serde::{Deserialize, Serialize};

const CURVE: &str = "curve.json";

/// One network after one epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub epoch: usize,
    pub clean_accuracy: f64,
    pub gaussian_noise: Vec<Point>,
}

/// Measures every network that is not measured yet.
pub fn run(context: &Context, images: &Record, trained: &[(Part, Record)]) -> Result<Vec<Option<Record>>> {
    jobs::run(trained.to_vec(), |(part, record)| {
        let robustness = &context.config.robustness;
        let seed = context.config.seed_of("robustness");
        let settings = (robustness.noise_images, &robustness.gaussian);
        let key = Key::new(&part.task("trade-off"), settings, seed)?.on(&context.device).after(images).after(&record);
        context.run.task(key, &context.terminal, |folder| {
            provenance::write_json(&folder.join(CURVE), &measure(context, part, seed)?)?;
            Ok(vec![CURVE.into()])
        })
    })
}

fn measure(context: &Context, part: Part, seed: u64) -> Result<Vec<Snapshot>> {
    let robustness = &context.config.robustness;
    let test = super::images::load(context)?.test;
    let images = labeled_batch(&test, robustness.noise_images)?;
    let settings = Settings { seed, batch: BATCH };
    let epochs = train::history(context, part)?.len();
    let mut bar = context.terminal.bar(&part.task("trade-off"), epochs as u64);
    let mut snapshots = Vec::with_capacity(epochs);
    for epoch in 1..=epochs {
        let model = Attackable::new(train::snapshot(context, part, epoch)?, &test)?;
        let noise = noise_curve(&model, &images, Noise::Gaussian, Clamp::Unit, &robustness.gaussian, settings, &mut |_| ())?;
        let point = |point: &brainprior_robustness::NoisePoint| Point {
            level: point.level,
            accuracy: point.accuracy().unwrap_or_default(),
        };
        snapshots.push(Snapshot {
            epoch,
            clean_accuracy: accuracy(&model, &images, settings)?.unwrap_or_default(),
            gaussian_noise: noise.iter().map(point).collect(),
        });
        bar.set(epoch as u64, epochs as u64, "");
    }
    Ok(snapshots)
}

/// One arm of the grid, followed over epochs.
pub struct Followed {
    pub name: String,
    pub condition: Condition,
    pub alpha: f64,
    /// Over seeds: every epoch, and the position among them of the network that the training kept.
    pub seeds: Vec<(Vec<Snapshot>, usize)>,
}

/// The curves of all arms; none where networks were not kept.
pub fn curves(context: &Context) -> Result<Vec<Followed>> {
    let training = &context.config.training;
    if !training.snapshots {
        return Ok(Vec::new());
    }
    let read = |part: Part| -> Result<(Vec<Snapshot>, usize)> {
        let snapshots: Vec<Snapshot> = provenance::read_json(&context.run.folder(&part.task("trade-off")).join(CURVE))?;
        let history = train::history(context, part)?;
        let best = (0..history.len()).min_by(|a, b| history[*a].validation_loss.total_cmp(&history[*b].validation_loss));
        let kept = if part.condition.condition() == Condition::StoppedEarly { None } else { best };
        let last = snapshots.len() - 1;
        Ok((snapshots, kept.unwrap_or(last)))
    };
    let follow = |condition| {
        let arm: &Arm = condition;
        Ok(Followed {
            name: arm.name().to_owned(),
            condition: arm.condition(),
            alpha: if arm.condition().has_target() { arm.settings(training)?.alpha } else { 0.0 },
            seeds: (0..training.seeds).map(|seed| read(Part { condition, seed })).collect::<Result<_>>()?,
        })
    };
    training.conditions.iter().map(follow).collect()
}

/// Draws what was measured and writes the table, where the whole grid is there.
pub fn summarise(context: &Context) -> Result<()> {
    let followed = curves(context)?;
    let folder = context.run.folder("trade-off");
    for (name, figure) in trade_off::figures(&followed)? {
        provenance::write_atomically(&folder.join(format!("{name}.svg")), figure.as_bytes())?;
    }
    let table = trade_off::table(&followed);
    provenance::write_atomically(&folder.join("table.md"), table.as_bytes())?;
    context.terminal.line(&format!("{table}tables and figures: {}", folder.display()));
    Ok(())
}
