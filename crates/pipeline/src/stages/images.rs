//! Stage `images`: the labelled set of the run, in grayscale or colour and at the sizes asked for, in one format.

use super::{Inputs, Outcome, Stage};
use crate::run::{Context, Key};
use anyhow::{Result, ensure};
use brainprior_artifact::hash;
use brainprior_classifier::NetConfig;
use brainprior_images::{LabeledImages, LabeledSplit, procedural, read_labeled, write_labeled};

const FILE: &str = "images.safetensors";

/// Makes or cuts out the labelled set.
pub(super) struct Images;

impl Stage for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn run(&self, context: &Context, _inputs: &Inputs) -> Result<Outcome> {
        let settings = &context.config.images;
        let sizes = (settings.train, settings.skip_test, settings.test, settings.grayscale);
        let key = match &settings.file {
            Some(file) => Key::new("images", sizes, 0).input("labelled images", &hash::of_path(file)?),
            None => Key::new("images", sizes, context.config.seed_of("images")),
        };
        let seed = key.seed();
        Ok(context
            .task(key, |folder| {
                let LabeledSplit { train, test } = match &settings.file {
                    Some(file) => read_labeled(file)?,
                    None => procedural::ten_classes(settings.train, settings.skip_test + settings.test, seed),
                };
                let rest: Vec<usize> = (settings.skip_test.min(test.len())..test.len()).collect();
                let split = LabeledSplit { train, test: test.subset(&rest) };
                for (tier, found, wanted) in
                    [("train", split.train.len(), settings.train), ("test", split.test.len(), settings.test)]
                {
                    ensure!(
                        found >= wanted,
                        "images.{tier} = {wanted}, but {} has {found}; lower it with --set images.{tier}={found}",
                        settings.file.as_ref().map_or("the procedural set".into(), |file| file.display().to_string())
                    );
                }
                // Said here, since the networks come after hours of fits.
                let network = NetConfig { blocks: context.config.training.common.blocks.clone(), ..NetConfig::default() };
                let (side, height, width) = (network.smallest_side(), split.train.height(), split.train.width());
                ensure!(
                    height.min(width) >= side,
                    "{}: its images are {height} x {width} pixels, expected at least {side} x {side} for a network of {} stages: \
                     enlarge the images, or take stages out of training.blocks",
                    settings.file.as_ref().map_or("the procedural set".into(), |file| file.display().to_string()),
                    network.blocks.len()
                );
                let cut = |images: LabeledImages, count| {
                    let images = images.take(count);
                    if settings.grayscale { images.to_grayscale() } else { images }
                };
                let split = LabeledSplit { train: cut(split.train, settings.train), test: cut(split.test, settings.test) };
                write_labeled(&folder.join(FILE), &split)?;
                Ok(vec![FILE.into()])
            })?
            .into())
    }
}

/// Reads the labelled set of the run.
pub(crate) fn load(context: &Context) -> Result<LabeledSplit> {
    Ok(read_labeled(&context.run.folder("images").join(FILE))?)
}
