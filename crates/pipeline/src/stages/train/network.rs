//! One network: what it is trained on and how.

use super::{BEST, HISTORY, LAST, SPEED, snapshot_file};
use crate::artifacts::TrainingEpoch;
use crate::config::{Condition, Control, Training};
use crate::grid::Part;
use crate::run::Context;
use crate::stages::{images, scans, similarity};
use anyhow::Result;
use brainprior_artifact::json;
use brainprior_classifier::{Mixture, RobustTraining, Target, TrainConfig, TrainEvent, train_on};
use brainprior_images::LabeledImages;
use brainprior_recording::median;
use std::path::Path;

/// Images of a target of labels, like those of a scan.
const LABELED_STIMULI: usize = 5000;

fn target(context: &Context, condition: Condition, train: &LabeledImages) -> Result<Target> {
    match condition {
        Condition::Matrix(target) => {
            let matrix = similarity::load(context, target)?;
            let loaded = scans::load(context)?;
            let stimuli = similarity::stimuli_of(context, target, &loaded, matrix.ids())?;
            Ok(Target::Similarity { stimuli, matrix })
        }
        Condition::Control(Control::Labels) => similarity::of_labels(train, LABELED_STIMULI),
        Condition::Control(Control::None | Control::StoppedEarly | Control::NoiseAugmented | Control::Adversarial) => {
            Ok(Target::None)
        }
    }
}

/// What the library is asked for.
fn train_config(settings: &Training, condition: Condition, stop_after: Option<usize>) -> TrainConfig {
    let regularized = TrainConfig {
        pairs: settings.pairs,
        alpha: settings.alpha,
        alpha_warm_up: (settings.alpha_warm_up > 0.0).then_some(settings.alpha_warm_up),
        loss_scale: settings.loss_scale,
        layers: (!settings.layers.is_empty()).then(|| settings.layers.clone()),
        mixture: if settings.gamma.is_empty() { Mixture::Learned } else { Mixture::Fixed(settings.gamma.clone()) },
        target_limit: settings.target_limit,
        ..TrainConfig::default()
    };
    TrainConfig {
        blocks: settings.blocks.clone(),
        base_channels: settings.base_channels,
        epochs: settings.epochs,
        batch: settings.batch,
        centering: settings.centering,
        running_statistics: settings.running_statistics,
        learning_rate: settings.learning_rate,
        weight_decay: settings.weight_decay,
        augmentation: settings.augmentation,
        validation_fraction: settings.validation_fraction,
        robust_training: match condition {
            Condition::Control(Control::NoiseAugmented) => RobustTraining::Noise { std: settings.noise_std },
            Condition::Control(Control::Adversarial) => {
                RobustTraining::Adversarial { epsilon: settings.attack_epsilon, steps: settings.attack_steps }
            }
            Condition::Matrix(_) | Condition::Control(Control::None | Control::Labels | Control::StoppedEarly) => {
                RobustTraining::None
            }
        },
        stop_after,
        snapshots: settings.snapshots,
        // Without a target these decide nothing, and a change of them is none of an interrupted training.
        ..if condition.has_target() { regularized } else { TrainConfig::default() }
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
    let condition = part.condition.condition();
    let data = images::load(context)?;
    let target = target(context, condition, &data.train)?;
    let settings = part.condition.settings(&context.config.training)?;
    let config = train_config(&settings, condition, stop_after);
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
    if settings.snapshots {
        outputs.extend((1..=history.len()).map(snapshot_file));
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::super::key::relevant;
    use super::*;
    use crate::config::{Config, MatrixTarget};

    /// A training that goes on compares its whole configuration with the one it began with, and the task's key decides whether it
    /// goes on: both have to leave out the same.
    #[test]
    fn settings_of_targets_are_none_of_a_network_without_one() {
        let load = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
            Config::load(None, &settings).unwrap().training
        };
        let (plain, other) = (load(&[]), load(&["training.alpha=3", "training.pairs=5", "training.layers=[1]"]));
        for condition in [Control::None, Control::StoppedEarly, Control::NoiseAugmented]
            .map(Condition::Control)
            .into_iter()
            .chain([Condition::Matrix(MatrixTarget::Denoised)])
        {
            let keyed = |settings: &Training| serde_json::to_value(relevant(settings.clone(), condition)).unwrap();
            let asked = |settings: &Training| train_config(settings, condition, None);
            assert_eq!(keyed(&plain) == keyed(&other), !condition.has_target(), "{condition:?}");
            assert_eq!(asked(&plain) == asked(&other), !condition.has_target(), "{condition:?}");
        }
    }
}
