//! Stage `images`: the labeled set of the run, in grayscale or color and at the requested sizes, in
//! one format.

use super::{Inputs, Outcome, Stage, corrupted};
use crate::run::{Context, Key};
use anyhow::{Result, ensure};
use brainprior_artifact::hash;
use brainprior_classifier::NetConfig;
use brainprior_images::{
    CorruptedFamily, LabeledImages, LabeledSplit, procedural, read_corrupted, read_labeled,
    write_labeled,
};

const FILE: &str = "images.safetensors";

/// Makes or extracts the labeled set.
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
            Some(file) => Key::new("images", sizes, 0)
                .input("labelled images", &hash::of_path(file)?)
                .lies_at("labelled images", file),
            None => Key::new("images", sizes, context.config.seed_of("images")),
        };
        // The number of images affects the key only if corrupted images are given.
        let key = match &settings.corrupted {
            Some(folder) => {
                let taken = format!(
                    "the first {} of {}",
                    corrupted_images(context),
                    hash::of_path(folder)?
                );
                key.input("corrupted images", &hash::of_bytes(taken.as_bytes()))
            }
            None => key,
        };
        let seed = key.seed();
        let record = context.task(key, |folder| {
            let (split, corruptions) = prepared(context, seed)?;
            write_labeled(&folder.join(FILE), &split)?;
            let Some(corruptions) = corruptions else { return Ok(vec![FILE.into()]) };
            corrupted::write(&folder.join(corrupted::FILE), &corruptions)?;
            Ok(vec![FILE.into(), corrupted::FILE.into()])
        })?;
        // A dry run reports the same problems with a given set as the task would.
        if record.is_none() && settings.file.is_some() {
            prepared(context, seed)?;
        }
        Ok(record.into())
    }
}

/// The labeled set of the run as later stages read it, and its test images under published
/// corruptions.
fn prepared(context: &Context, seed: u64) -> Result<(LabeledSplit, Option<Vec<CorruptedFamily>>)> {
    let settings = &context.config.images;
    let name = || {
        settings
            .file
            .as_ref()
            .map_or("the procedural set".into(), |file| file.display().to_string())
    };
    let LabeledSplit { train, test } = match &settings.file {
        Some(file) => read_labeled(file)?,
        None => procedural::ten_classes(settings.train, settings.skip_test + settings.test, seed),
    };
    let rest: Vec<usize> = (settings.skip_test.min(test.len())..test.len()).collect();
    for (tier, found, wanted) in
        [("train", train.len(), settings.train), ("test", rest.len(), settings.test)]
    {
        ensure!(
            found >= wanted,
            "images.{tier} = {wanted}, but {} has only {found}; lower it with --set images.{tier}={found}",
            name()
        );
    }
    // Check this now, since networks are only trained after hours of fits.
    let network =
        NetConfig { blocks: context.config.training.common.blocks.clone(), ..NetConfig::default() };
    let (side, height, width) = (network.smallest_side(), train.height(), train.width());
    ensure!(
        height.min(width) >= side,
        "{}: expected images of at least {side} x {side} pixels for a network of {} stages, found {height} x {width}: enlarge the images, or \
         remove stages from training.blocks",
        name(),
        network.blocks.len()
    );
    let gray =
        |images: LabeledImages| if settings.grayscale { images.to_grayscale() } else { images };
    let corruptions = match &settings.corrupted {
        None => None,
        Some(folder) => {
            let rows = settings.skip_test..settings.skip_test + corrupted_images(context);
            let families = read_corrupted(folder, &test, rows)?.into_iter();
            let gray = |CorruptedFamily { name, severities }| CorruptedFamily {
                name,
                severities: severities.map(gray),
            };
            Some(families.map(gray).collect())
        }
    };
    let split = LabeledSplit {
        train: gray(train.take(settings.train)),
        test: gray(test.subset(&rest).take(settings.test)),
    };
    Ok((split, corruptions))
}

/// Number of test images under corruptions.
fn corrupted_images(context: &Context) -> usize {
    context.config.robustness.corruption_images.min(context.config.images.test)
}

/// Reads the labeled set of the run.
pub(crate) fn load(context: &Context) -> Result<LabeledSplit> {
    Ok(read_labeled(&context.run.folder("images").join(FILE))?)
}
