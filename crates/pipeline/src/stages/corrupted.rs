//! Published corruptions of the run's test images: extracts them, stores them next to the labeled
//! set, and evaluates networks on them.

use crate::adversarial::labeled_batch;
use crate::artifacts::mean_over_families;
use crate::run::Context;
use anyhow::{Result, ensure};
use brainprior_artifact::archive::{self, Archive, Dtype, TensorView};
use brainprior_images::{CorruptedFamily, LabeledImages};
use brainprior_robustness::{Classifier, Progress, Settings, accuracy};
use std::collections::BTreeMap;
use std::path::Path;

/// File next to the labeled set.
pub(super) const FILE: &str = "corrupted.safetensors";

/// Error rates by corruption at severity 1 to 5, and the mean corruption error.
pub(super) type Errors = (BTreeMap<String, [f64; 5]>, Option<f64>);

/// Writes a tensor u8 `[5, images, channels, height, width]` for each corruption.
pub(super) fn write(path: &Path, families: &[CorruptedFamily]) -> Result<()> {
    let joined: Vec<Vec<u8>> = families
        .iter()
        .map(|family| family.severities.iter().flat_map(LabeledImages::pixels).copied().collect())
        .collect();
    let mut tensors = Vec::with_capacity(families.len());
    for (CorruptedFamily { name, severities: [first, ..] }, pixels) in families.iter().zip(&joined)
    {
        let shape = vec![5, first.len(), first.channels(), first.height(), first.width()];
        tensors.push((name.as_str(), TensorView::new(Dtype::U8, shape, pixels)?));
    }
    let in_mean: Vec<&str> = families
        .iter()
        .filter(|family| family.is_in_mean())
        .map(|family| family.name.as_str())
        .collect();
    Ok(archive::write(path, &in_mean, tensors)?)
}

/// Error rates of a network on the published images; `None` if the run has none.
pub(super) fn errors(
    context: &Context,
    model: &dyn Classifier,
    test: &LabeledImages,
    run: Settings,
    observe: &mut dyn FnMut(Progress),
) -> Result<Option<Errors>> {
    if context.config.images.corrupted.is_none() {
        return Ok(None);
    }
    let path = context.run.folder("images").join(FILE);
    let file = Archive::read(&path, "run the stage images again")?;
    let in_mean: Vec<String> = file.header()?;
    let names = file.names();
    let mut errors = BTreeMap::new();
    for (done, name) in names.iter().enumerate() {
        let tensor = file.tensor(name)?;
        let [5, images, channels, height, width] = tensor.shape()[..] else {
            return Err(file
                .mismatch(name, "five severities of images", format!("{:?}", tensor.shape()))
                .into());
        };
        ensure!(
            images <= test.len(),
            "{}: expected at most {} images, the number of test images, found {images}; run the stage images again",
            path.display(),
            test.len()
        );
        let mut of_family = [0.0; 5];
        for (error, pixels) in
            of_family.iter_mut().zip(tensor.data().chunks_exact(images * channels * height * width))
        {
            let (labels, names) = (test.labels()[..images].to_vec(), test.class_names().to_vec());
            let corrupted =
                LabeledImages::new(channels, height, width, pixels.to_vec(), labels, names)?;
            *error = 1.0
                - accuracy(model, &labeled_batch(&corrupted, images)?, run)?
                    .share()
                    .unwrap_or_default();
        }
        observe(Progress { done: done + 1, total: names.len() });
        errors.insert(name.clone(), of_family);
    }
    let mean = mean_over_families(
        errors.iter().filter(|(name, _)| in_mean.contains(name)).map(|(_, errors)| errors),
    );
    Ok(Some((errors, mean)))
}
