//! Trains one network.

use super::followed::Followed;
use super::{BEST, HISTORY, LAST, PULL, SPEED, snapshot_file};
use crate::artifacts::{Pull, SetBy};
use crate::config::Target;
use crate::grid::Part;
use crate::run::Context;
use crate::stages::{images, scans, similarity};
use anyhow::Result;
use brainprior_artifact::json;
use brainprior_classifier::{
    self as classifier, Split, TrainConfig, TrainEvent, TrainOptions, train,
};
use brainprior_images::LabeledImages;
use brainprior_recording::median;
use std::path::Path;

/// Number of images of a label target, as many as a scan has.
const LABELED_STIMULI: usize = 5000;

/// A label target, of training images only: the labels of the validation images choose the epoch.
fn labels(images: &LabeledImages, training: &TrainConfig, seed: u64) -> Result<classifier::Target> {
    let split = Split::new(images.len(), training, seed)?;
    similarity::of_labels(&images.subset(split.training()), LABELED_STIMULI)
}

/// The target of a part.
fn target(
    context: &Context,
    part: Part,
    train: &LabeledImages,
    seed: u64,
) -> Result<classifier::Target> {
    let target = match part.condition.target() {
        Target::None => return Ok(classifier::Target::None),
        Target::Labels => return labels(train, part.condition.training(), seed),
        Target::Matrix(target) => target,
    };
    let matrix = similarity::load_for(context, target, part.seed)?;
    let loaded = scans::load(context)?;
    let stimuli = similarity::stimuli_of(context, target, &loaded, matrix.ids())?;
    Ok(classifier::Target::Similarity { stimuli, matrix })
}

/// The settings of a part's training, with alpha computed from its force if given, and the strength
/// of its target.
fn pulled(part: Part, target: &classifier::Target) -> Result<(TrainConfig, Option<Pull>)> {
    let settings = part.condition.training().clone();
    let (config, set) = match part.condition.force() {
        Some(force) => (settings.with_force(force, target)?, SetBy::Force),
        None => (settings, SetBy::Alpha),
    };
    let pull = config.force(target).map(|force| Pull { set, alpha: config.alpha, force });
    Ok((config, pull))
}

/// Trains into `folder`, which may hold the state of an interrupted training. Returns the files
/// written.
pub(super) fn train_one(
    context: &Context,
    part: Part,
    seed: u64,
    folder: &Path,
) -> Result<Vec<String>> {
    let data = images::load(context)?;
    let target = target(context, part, &data.train, seed)?;
    let (config, pull) = pulled(part, &target)?;
    let mut bar = context.progress.bar(&part.task("train"), 1);
    let mut message = String::new();
    let mut speeds = Vec::new();
    let mut followed = Followed::in_folder(folder);
    let mut observer = |event| match event {
        TrainEvent::Step { done, total, loss, similarity_loss, images_per_second, .. } => {
            speeds.push(images_per_second);
            let similarity =
                similarity_loss.map_or(String::new(), |loss| format!(", similarity {loss:.3}"));
            let text =
                format!("loss {loss:.3}{similarity}, {images_per_second:.0} images/s{message}");
            bar.set(done as u64, total as u64, &text);
        }
        TrainEvent::Epoch(epoch) => {
            followed.add(&epoch);
            let share = |share: &f64| format!("{share:.2}");
            let pairs = epoch.pair_correlation.map_or(String::new(), |correlation| {
                let gamma = epoch.gamma.iter().map(share).collect::<Vec<_>>().join(" ");
                format!(", pairs r {correlation:.2}, gamma {gamma}")
            });
            message = format!("; validation {:.1}%{pairs}", 100.0 * epoch.validation_accuracy);
        }
    };
    let options =
        TrainOptions { device: context.device.clone(), seed, observer: Some(&mut observer) };
    let trained = train(&data.train, &target, &config, folder, options)?;
    drop(bar);
    let epochs = followed.finish(&trained.epochs)?;
    json::write(&folder.join(PULL), &pull)?;
    // A training that was killed after its last epoch makes no step when it resumes, and its speed
    // stays unknown.
    json::write(&folder.join(SPEED), &median(&speeds))?;
    let mut outputs = [BEST, LAST, HISTORY, PULL].map(str::to_owned).to_vec();
    if config.snapshots {
        outputs.extend((1..=epochs).map(snapshot_file));
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_labels_knows_no_image_that_is_held_back() {
        // Images distinguishable by their brightness, which is their index.
        let pixels = (0..40u8).flat_map(|image| [image; 64]).collect();
        let names = vec!["even".into(), "odd".into()];
        let images =
            LabeledImages::new(1, 8, 8, pixels, (0..40).map(|image| image % 2).collect(), names)
                .unwrap();
        let training = TrainConfig { validation_fraction: 0.25, ..TrainConfig::default() };
        let split = Split::new(images.len(), &training, 7).unwrap();
        let classifier::Target::Similarity { stimuli, .. } = labels(&images, &training, 7).unwrap()
        else {
            panic!("labels have similarities")
        };
        let known: Vec<usize> = (0..stimuli.len())
            .map(|image| (255.0 * stimuli.image(image)[0]).round() as usize)
            .collect();
        assert_eq!((known.len(), split.held_back().len()), (30, 10));
        assert!(split.held_back().iter().all(|image| !known.contains(image)), "{known:?}");
    }
}
