//! One network: what it is trained on and how.

use super::{BEST, HISTORY, LAST, SPEED, snapshot_file};
use crate::artifacts::TrainingEpoch;
use crate::config::Target;
use crate::grid::Part;
use crate::run::Context;
use crate::stages::{images, scans, similarity};
use anyhow::Result;
use brainprior_artifact::json;
use brainprior_classifier::{self as classifier, TrainConfig, TrainEvent, train_on};
use brainprior_images::LabeledImages;
use brainprior_recording::median;
use std::path::Path;

/// Images of a target of labels, like those of a scan.
const LABELED_STIMULI: usize = 5000;

fn target(context: &Context, target: Target, train: &LabeledImages) -> Result<classifier::Target> {
    match target {
        Target::None => Ok(classifier::Target::None),
        Target::Labels => similarity::of_labels(train, LABELED_STIMULI),
        Target::Matrix(target) => {
            let matrix = similarity::load(context, target)?;
            let loaded = scans::load(context)?;
            let stimuli = similarity::stimuli_of(context, target, &loaded, matrix.ids())?;
            Ok(classifier::Target::Similarity { stimuli, matrix })
        }
    }
}

/// Trains into `folder`, which may hold the state of an interrupted training; the files that were written.
pub(super) fn train_one(
    context: &Context,
    part: Part,
    seed: u64,
    stop_after: Option<usize>,
    folder: &Path,
) -> Result<Vec<String>> {
    let data = images::load(context)?;
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
    if let Some(speed) = median(&speeds) {
        json::write(&folder.join(SPEED), &speed)?;
    }
    let mut outputs = vec![BEST.to_owned(), LAST.to_owned(), HISTORY.to_owned()];
    if config.snapshots {
        outputs.extend((1..=history.len()).map(snapshot_file));
    }
    Ok(outputs)
}
