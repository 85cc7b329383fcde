//! Stage `train`: one classifier for every condition and seed, side by side.

use super::similarity;
use crate::pipeline::config::Condition;
use crate::pipeline::context::Context;
use crate::pipeline::jobs;
use crate::pipeline::provenance::{self, Key, Record};
use crate::pipeline::report::TrainingEpoch;
use anyhow::{Context as _, Result};
use brainprior_classifier::{NetConfig, ResNet, Target, TrainConfig, TrainEvent, train};
use std::collections::BTreeMap;
use std::path::Path;

const HISTORY: &str = "history.json";
const NETWORK: &str = "network.safetensors";

/// One network of the run.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub condition: Condition,
    pub seed: u64,
}

impl Part {
    /// Every condition and seed of the run; conditions with a target, which take longest, come first.
    pub fn all(context: &Context) -> Vec<Self> {
        let training = &context.config.training;
        let mut parts: Vec<Self> = training
            .conditions
            .iter()
            .flat_map(|condition| (0..training.seeds).map(|seed| Self { condition: *condition, seed }))
            .collect();
        parts.sort_by_key(|part| (part.condition == Condition::None, part.seed));
        parts
    }

    /// Name of the part's task within a stage.
    pub fn task(self, stage: &str) -> String {
        format!("{stage}/{}-seed{}", self.condition.name(), self.seed)
    }
}

/// Trains every part that is not trained yet. The record of each part, where it is there.
pub fn run(
    context: &Context,
    scans: &Record,
    images: &Record,
    similarity_record: &Record,
) -> Result<Vec<(Part, Option<Record>)>> {
    jobs::run(Part::all(context), |part| {
        let settings = &context.config.training;
        let task = part.task("train");
        // Networks of one seed begin with the same weights whatever their condition, so that conditions are compared in pairs.
        let seed = context.config.seed_of(&format!("train/seed{}", part.seed));
        let mut key = Key::new(&task, training_key(context), seed)?.after(images);
        if part.condition != Condition::None {
            let file = format!("{}.h5", part.condition.name());
            let hash = similarity_record.outputs.get(&file).with_context(|| format!("stage `similarity` wrote no {file}"))?;
            key = key.input("target", hash).input("alpha", &settings.alpha.to_string()).after(scans);
        }
        let record = context.run.task(key, &context.terminal, |folder| train_one(context, part, seed, folder))?;
        Ok((part, record))
    })
}

/// The settings that one network depends on.
fn training_key(context: &Context) -> impl serde::Serialize {
    let mut settings = context.config.training.clone();
    // What the grid holds besides does not change a network; alpha counts only where there is a target.
    settings.conditions.clear();
    settings.seeds = 0;
    settings.alpha = 0.0;
    settings
}

fn train_one(context: &Context, part: Part, seed: u64, folder: &Path) -> Result<Vec<String>> {
    let data = super::images::load(context)?;
    let target = match similarity::load(context, part.condition)? {
        None => Target::None,
        Some(matrix) => {
            let loaded = super::scans::load(context)?;
            Target::Similarity { stimuli: similarity::target_images(context, &loaded)?, matrix }
        }
    };
    let settings = &context.config.training;
    let net = NetConfig {
        blocks: settings.blocks.clone(),
        base_channels: settings.base_channels,
        input_channels: 1,
        classes: data.train.classes(),
    };
    let training = TrainConfig {
        net,
        epochs: settings.epochs,
        batch: settings.batch,
        pairs: settings.pairs,
        alpha: settings.alpha,
        learning_rate: settings.learning_rate,
        weight_decay: settings.weight_decay,
        augmentation: settings.augmentation,
        validation_fraction: settings.validation_fraction,
        ..TrainConfig::default()
    };
    let mut bar = context.terminal.bar(&part.task("train"), 1);
    let mut message = String::new();
    let trained = train(&data.train, &target, &training, seed, folder, &mut |event| match event {
        TrainEvent::Step { done, total, .. } => bar.set(done as u64, total as u64, &message),
        TrainEvent::Epoch(epoch) => message = format!("validation {:.1}%", 100.0 * epoch.validation_accuracy),
    })?;
    drop(bar);
    trained.network.save(&folder.join(NETWORK))?;
    let history: Vec<TrainingEpoch> = trained
        .epochs
        .iter()
        .map(|epoch| TrainingEpoch {
            epoch: epoch.epoch + 1,
            loss: epoch.loss,
            similarity_loss: epoch.similarity_loss,
            train_accuracy: epoch.train_accuracy,
            validation_accuracy: epoch.validation_accuracy,
            pair_correlation: epoch.pair_correlation,
            gamma: epoch.gamma.clone(),
        })
        .collect();
    provenance::write_json(&folder.join(HISTORY), &history)?;
    Ok(vec![NETWORK.into(), HISTORY.into()])
}

/// The trained network of a part.
pub fn network(context: &Context, part: Part) -> Result<ResNet> {
    Ok(ResNet::load(&context.run.folder(&part.task("train")).join(NETWORK))?)
}

/// The history of a part.
pub fn history(context: &Context, part: Part) -> Result<Vec<TrainingEpoch>> {
    provenance::read_json(&context.run.folder(&part.task("train")).join(HISTORY))
}

/// The histories of all parts, by condition and seed.
pub fn histories(context: &Context) -> Result<BTreeMap<(String, u64), Vec<TrainingEpoch>>> {
    Part::all(context)
        .into_iter()
        .map(|part| Ok(((part.condition.name().to_owned(), part.seed), history(context, part)?)))
        .collect()
}
