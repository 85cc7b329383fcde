//! Stage `images`: the labelled set of the run, in grayscale or colour and at the sizes asked for, in one format.

use crate::pipeline::context::Context;
use crate::pipeline::provenance::{self, Key, Record};
use anyhow::{Result, ensure};
use brainprior_images::{LabeledImages, LabeledSplit, procedural, read_labeled, write_labeled};

const FILE: &str = "images.safetensors";

/// Makes or cuts out the labelled set.
pub fn run(context: &Context) -> Result<Option<Record>> {
    let settings = &context.config.images;
    let given = !settings.file.as_os_str().is_empty();
    let mut key = Key::new(
        "images",
        (settings.train, settings.test, settings.grayscale),
        if given { 0 } else { context.config.seed_of("images") },
    )?;
    if given {
        key = key.input("labelled images", &provenance::hash_path(&settings.file)?);
    }
    let seed = key.seed;
    context.run.task(key, &context.terminal, |folder| {
        let split =
            if given { read_labeled(&settings.file)? } else { procedural::ten_classes(settings.train, settings.test, seed) };
        for (tier, found, wanted) in [("train", split.train.len(), settings.train), ("test", split.test.len(), settings.test)] {
            ensure!(
                found >= wanted,
                "{}: images.{tier} = {wanted}, but the set has {found}; lower it with --set images.{tier}={found}",
                settings.file.display()
            );
        }
        let cut = |images: LabeledImages, count| {
            let images = images.take(count);
            if settings.grayscale { images.to_grayscale() } else { images }
        };
        let split = LabeledSplit { train: cut(split.train, settings.train), test: cut(split.test, settings.test) };
        write_labeled(&folder.join(FILE), &split)?;
        Ok(vec![FILE.into()])
    })
}

/// Reads the labelled set of the run.
pub fn load(context: &Context) -> Result<LabeledSplit> {
    Ok(read_labeled(&context.run.folder("images").join(FILE))?)
}
