//! Stage `trade-off`: clean and noisy accuracy after every epoch of every network, if networks are
//! kept (`training.snapshots`). A regularizer that merely trades one for the other moves along the
//! baseline's curve.

use super::train;
use super::{Inputs, Outcome, Stage};
use crate::adversarial::{Attackable, BATCH, labeled_batch};
use crate::artifacts::{Followed, Point, Snapshot};
use crate::config::Arm;
use crate::grid::Part;
use crate::report::trade_off;
use crate::run::{Context, Key, jobs};
use anyhow::Result;
use brainprior_artifact::{json, replace};
use brainprior_robustness::{Clamp, Noise, Settings, accuracy, noise_curve};

const CURVE: &str = "curve.json";

/// Evaluates every network that is not evaluated yet.
pub(super) struct TradeOff;

impl Stage for TradeOff {
    fn name(&self) -> &'static str {
        "trade-off"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["images", "train"]
    }

    /// Only the report reads it.
    fn is_wanted(&self, context: &Context) -> bool {
        context.config.training.common.snapshots && !context.run.is_only_another(self.name())
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let images = inputs.of("images")?;
        let records = jobs::run(train::trained(context, inputs), |(part, record)| {
            let robustness = &context.config.robustness;
            let seed = context.config.seed_of("robustness");
            let settings = (robustness.noise_images, &robustness.gaussian);
            let key = Key::new(&part.task("trade-off"), settings, seed)
                .on(&context.device)
                .after(images)
                .after(record);
            context.task(key, |folder| {
                json::write(&folder.join(CURVE), &measure(context, part, seed)?)?;
                Ok(vec![CURVE.into()])
            })
        })?;
        if !context.run.is_dry() && context.selection.is_all() {
            summarize(context)?;
        }
        Ok(Outcome::Done(records.into_iter().flatten().collect()))
    }
}

fn measure(context: &Context, part: Part, seed: u64) -> Result<Vec<Snapshot>> {
    let robustness = &context.config.robustness;
    let test = super::images::load(context)?.test;
    let images = labeled_batch(&test, robustness.noise_images)?;
    let settings = Settings { seed, batch: BATCH };
    let epochs = train::history(context, part)?.len();
    let mut bar = context.progress.bar(&part.task("trade-off"), epochs as u64);
    let mut snapshots = Vec::with_capacity(epochs);
    for epoch in 1..=epochs {
        let model = Attackable::new(train::snapshot(context, part, epoch)?, &test)?;
        let noise = noise_curve(
            &model,
            &images,
            Noise::Gaussian,
            Clamp::Unit,
            &robustness.gaussian,
            settings,
        )?;
        let point = |point: &brainprior_robustness::NoisePoint| Point {
            level: point.level,
            accuracy: point.accuracy.share().unwrap_or_default(),
        };
        snapshots.push(Snapshot {
            epoch,
            clean_accuracy: accuracy(&model, &images, settings)?.share().unwrap_or_default(),
            gaussian_noise: noise.iter().map(point).collect(),
        });
        bar.set(epoch as u64, epochs as u64, "");
    }
    Ok(snapshots)
}

/// The curves of all conditions; empty if networks were not kept.
pub(crate) fn curves(context: &Context) -> Result<Vec<Followed>> {
    let training = &context.config.training;
    if !training.common.snapshots {
        return Ok(Vec::new());
    }
    let read = |part: Part| -> Result<(Vec<Snapshot>, usize)> {
        let snapshots: Vec<Snapshot> =
            json::read(&context.run.folder(&part.task("trade-off")).join(CURVE))?;
        let kept = train::kept_place(part, &train::history(context, part)?);
        Ok((snapshots, kept))
    };
    let follow = |condition| {
        let arm: &Arm = condition;
        Ok(Followed {
            name: arm.name().to_owned(),
            kind: arm.kind().to_owned(),
            own: arm.own().map(str::to_owned).collect(),
            has_target: arm.target().has_pairs(),
            alpha: if arm.target().has_pairs() { arm.training().alpha } else { 0.0 },
            seeds: (0..training.seeds)
                .map(|seed| read(Part { condition, seed }))
                .collect::<Result<_>>()?,
        })
    };
    training.conditions.iter().map(follow).collect()
}

/// Draws the curves and writes the table, once the whole grid is evaluated.
fn summarize(context: &Context) -> Result<()> {
    let followed = curves(context)?;
    let folder = context.run.folder("trade-off");
    for (file, figure) in trade_off::files(&followed) {
        replace::bytes(&folder.join(file), figure.as_bytes())?;
    }
    let table = trade_off::table(&followed);
    replace::bytes(&folder.join("table.md"), table.as_bytes())?;
    context.progress.line(&format!("{table}tables and figures: {}", folder.display()));
    Ok(())
}
