//! The nearest adversarial images, block by block and attack by attack. Each block is a task with
//! its own artifact, and the results so far are on disk, so that an interrupted run resumes with
//! the next attack.

use super::{BATCH, norm_name};
use crate::run::{Key, Progress, Record, RunDirectory};
use anyhow::Result;
use brainprior_artifact::archive::{self, Archive, Dtype, TensorView};
use brainprior_artifact::hash;
use brainprior_robustness::{
    Classifier, Counts, ImageRecord, LabeledBatch, MinimalPerturbations, Norm, Search, Settings,
    ensemble,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

const NEAREST: &str = "nearest.safetensors";
const FORMAT: &str = "brainprior-nearest";
const VERSION: u32 = 2;
/// Relative tolerance of the bisection over epsilon.
const TOLERANCE: f64 = 0.01;

/// Settings that decide the result of a block.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Protocol {
    /// Forward and backward passes per image.
    pub(crate) passes: usize,
    /// Images per block.
    pub(crate) block: usize,
}

/// Header of a file of blocks.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    norm: String,
    /// Hash of the task's key.
    key: String,
    /// Number of attacks already run.
    attacks_done: usize,
    /// Names of the attacks counted by `found_by`.
    attacks: Vec<String>,
}

/// The state of a block after one of its attacks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct After {
    /// Distance to the nearest known adversarial image, 0 if the image itself is adversarial.
    pub(crate) distances: Vec<Option<f64>>,
    /// Passes used for each image so far.
    pub(crate) passes: Vec<usize>,
}

/// The largest size of perturbations: no image can be adversarial beyond it.
pub(crate) fn search(norm: Norm, area: usize) -> Search {
    Search { largest: norm.range(area), tolerance: TOLERANCE }
}

/// The ensemble of one norm on one network, block by block of images.
pub(crate) struct Blocks<'a> {
    pub(crate) run: &'a RunDirectory,
    pub(crate) progress: &'a dyn Progress,
    /// The tasks are named `prefix/NORM/block-N`.
    pub(crate) prefix: &'a str,
    pub(crate) model: &'a dyn Classifier,
    pub(crate) labeled: &'a LabeledBatch,
    pub(crate) norm: Norm,
    pub(crate) protocol: Protocol,
}

impl Blocks<'_> {
    /// Runs the ensemble on all unfinished blocks. `key` covers the network and the images. Returns
    /// the records, or nothing on a dry run.
    pub(crate) fn measure(&self, key: &Key) -> Result<Option<Vec<Record>>> {
        let Self { run, progress, prefix, labeled, norm, protocol, .. } = *self;
        // Another ensemble gives other results and counts its attacks differently.
        let attacks: Vec<String> =
            ensemble(norm, protocol.passes).iter().map(|attack| attack.name()).collect();
        let mut records = Vec::new();
        for (number, first) in (0..labeled.len()).step_by(protocol.block.max(1)).enumerate() {
            let task = format!("{prefix}/{}/block-{number}", norm_name(norm));
            let last = labeled.len().min(first + protocol.block);
            let settings = serde_json::json!({
                "protocol": protocol, "norm": norm_name(norm), "attacks": attacks, "first": first, "last": last
            });
            let key = key.with(&task, settings);
            let hash = hash::of_bytes(serde_json::to_string(&key)?.as_bytes());
            let block = labeled.subset(&(first..last).collect::<Vec<_>>());
            let seed = key.seed();
            let record = run.task(key, progress, |folder| {
                self.approach(&task, &folder.join(NEAREST), &hash, &block, seed)?;
                Ok(vec![NEAREST.into()])
            })?;
            let Some(record) = record else { return Ok(None) };
            records.push(record);
        }
        Ok(Some(records))
    }

    /// Runs the remaining attacks on one block.
    fn approach(
        &self,
        task: &str,
        path: &Path,
        key: &str,
        block: &LabeledBatch,
        seed: u64,
    ) -> Result<()> {
        let Self { progress, model, norm, protocol, .. } = *self;
        let settings = Settings { seed, batch: BATCH };
        let attacks = ensemble(norm, protocol.passes);
        let (mut trace, mut minimal) = match read(path, block, norm) {
            Ok((header, minimal, trace)) if header.key == key => (trace, minimal),
            _ => (vec![], MinimalPerturbations::new(model, block, norm, settings)?),
        };
        let mut bar = progress.bar(task, attacks.len() as u64);
        while let Some(attack) = attacks.get(trace.len()) {
            bar.set(trace.len() as u64, attacks.len() as u64, &attack.name());
            minimal.approach(
                model,
                attack.as_ref(),
                block,
                search(norm, block.area()),
                settings,
            )?;
            let passes = minimal.records().iter().map(|record| record.counts.passes()).collect();
            trace.push(After { distances: minimal.distances(block), passes });
            write(path, key, &trace, &minimal, block)?;
        }
        Ok(())
    }
}

/// Reads the blocks of a norm and joins them.
pub(crate) fn read_blocks(
    run: &RunDirectory,
    prefix: &str,
    labeled: &LabeledBatch,
    norm: Norm,
    block: usize,
) -> Result<MinimalPerturbations> {
    Ok(read_traced(run, prefix, labeled, norm, block)?.0)
}

/// The same, with the state after each attack.
pub(crate) fn read_traced(
    run: &RunDirectory,
    prefix: &str,
    labeled: &LabeledBatch,
    norm: Norm,
    block: usize,
) -> Result<(MinimalPerturbations, Vec<After>)> {
    let mut records = Vec::with_capacity(labeled.len());
    let mut whole: Vec<After> = Vec::new();
    for (number, first) in (0..labeled.len()).step_by(block.max(1)).enumerate() {
        let path =
            run.folder(&format!("{prefix}/{}/block-{number}", norm_name(norm))).join(NEAREST);
        let images: Vec<usize> = (first..labeled.len().min(first + block)).collect();
        let (_, minimal, trace) = read(&path, &labeled.subset(&images), norm)?;
        records.extend(minimal.records().iter().cloned());
        whole.resize(trace.len(), After { distances: vec![], passes: vec![] });
        for (whole, part) in whole.iter_mut().zip(trace) {
            whole.distances.extend(part.distances);
            whole.passes.extend(part.passes);
        }
    }
    Ok((MinimalPerturbations::restore(norm, records), whole))
}

fn write(
    path: &Path,
    key: &str,
    trace: &[After],
    minimal: &MinimalPerturbations,
    block: &LabeledBatch,
) -> Result<()> {
    let mut attacks: Vec<String> = Vec::new();
    let (mut nearest, mut found_by, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (index, record) in minimal.records().iter().enumerate() {
        let (pixels, by) = match &record.nearest {
            None => (block.image(index), -1),
            Some((pixels, name)) => {
                let position =
                    attacks.iter().position(|attack| attack == name).unwrap_or_else(|| {
                        attacks.push(name.clone());
                        attacks.len() - 1
                    });
                (pixels.as_slice(), position as i32)
            }
        };
        nearest.extend(pixels.iter().flat_map(|value| value.to_le_bytes()));
        found_by.extend((if record.already { -2 } else { by }).to_le_bytes());
        let Counts { queries, gradient_calls, zero_gradients } = record.counts;
        counts.extend(
            [queries, gradient_calls, zero_gradients]
                .iter()
                .flat_map(|count| (*count as i64).to_le_bytes()),
        );
    }
    let header = Header {
        format: FORMAT.into(),
        version: VERSION,
        norm: norm_name(minimal.norm()).into(),
        key: key.into(),
        attacks_done: trace.len(),
        attacks,
    };
    let [channels, height, width] = block.shape();
    let images = block.len();
    let after = |value: &dyn Fn(&After) -> Vec<[u8; 4]>| {
        trace.iter().flat_map(value).flatten().collect::<Vec<u8>>()
    };
    // A distance of -1 means that nothing was found.
    let distances = after(&|after| {
        after.distances.iter().map(|size| (size.unwrap_or(-1.0) as f32).to_le_bytes()).collect()
    });
    let passes =
        after(&|after| after.passes.iter().map(|passes| (*passes as i32).to_le_bytes()).collect());
    let tensors = [
        ("distances_after", TensorView::new(Dtype::F32, vec![trace.len(), images], &distances)?),
        ("passes_after", TensorView::new(Dtype::I32, vec![trace.len(), images], &passes)?),
        ("nearest", TensorView::new(Dtype::F32, vec![images, channels, height, width], &nearest)?),
        ("found_by", TensorView::new(Dtype::I32, vec![images], &found_by)?),
        ("counts", TensorView::new(Dtype::I64, vec![images, 3], &counts)?),
    ];
    Ok(archive::write(path, &header, tensors)?)
}

fn read(
    path: &Path,
    block: &LabeledBatch,
    norm: Norm,
) -> Result<(Header, MinimalPerturbations, Vec<After>)> {
    let file = Archive::read(path, "remove it and run the same command again")?;
    let header: Header = file.header()?;
    let (images, area, [channels, height, width]) = (block.len(), block.area(), block.shape());
    let nearest: Vec<f32> = file.values("nearest", &[images, channels, height, width])?;
    let found_by: Vec<i32> = file.values("found_by", &[images])?;
    let counts: Vec<i64> = file.values("counts", &[images, 3])?;
    let distances: Vec<f32> = file.values("distances_after", &[header.attacks_done, images])?;
    let passes: Vec<i32> = file.values("passes_after", &[header.attacks_done, images])?;
    let trace = (0..header.attacks_done)
        .map(|attack| {
            let range = attack * images..(attack + 1) * images;
            let distance = |size: &f32| (*size >= 0.0).then_some(f64::from(*size));
            After {
                distances: distances[range.clone()].iter().map(distance).collect(),
                passes: passes[range].iter().map(|passes| *passes as usize).collect(),
            }
        })
        .collect();
    let records = (0..block.len())
        .map(|index| {
            let by = usize::try_from(found_by[index]).ok().and_then(|by| header.attacks.get(by));
            let [queries, gradient_calls, zero_gradients] =
                [0, 1, 2].map(|part| counts[3 * index + part] as usize);
            ImageRecord {
                already: found_by[index] == -2,
                nearest: by
                    .map(|name| (nearest[index * area..(index + 1) * area].to_vec(), name.clone())),
                counts: Counts { queries, gradient_calls, zero_gradients },
            }
        })
        .collect();
    Ok((header, MinimalPerturbations::restore(norm, records), trace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Mode, Silent};
    use candle_core::Tensor;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Classifies bright and dark, and fails after some calls.
    struct Model(AtomicUsize);

    impl Classifier for Model {
        fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
            if self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_err()
            {
                candle_core::bail!("switched off");
            }
            let mean = images.flatten_from(1)?.mean_keepdim(1)?;
            Tensor::cat(&[&(mean.neg()? + 1.0)?, &mean], 1)
        }
    }

    #[test]
    fn an_interrupted_block_goes_on_with_the_next_attack() {
        let pixels = (0..5 * 64).map(|index: usize| {
            0.3 + 0.1 * ((index % 7) as f32 / 7.0) + if index < 128 { 0.3 } else { 0.0 }
        });
        let labeled = LabeledBatch::new(1, 8, 8, pixels.collect(), vec![1, 1, 0, 0, 1]).unwrap();
        let protocol = Protocol { passes: 100, block: 3 };
        let measure = |folder: &Path, calls: usize| {
            let run = RunDirectory::open(folder, Mode::Run).unwrap();
            let model = Model(AtomicUsize::new(calls));
            let key = Key::new("attack", (), 3);
            let blocks = Blocks {
                run: &run,
                progress: &Silent,
                prefix: "attack",
                model: &model,
                labeled: &labeled,
                norm: Norm::L2,
                protocol,
            };
            let records = blocks.measure(&key)?;
            let minimal = read_blocks(&run, "attack", &labeled, Norm::L2, protocol.block)?;
            anyhow::Ok((records.unwrap().len(), minimal, model.0.into_inner()))
        };
        let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (blocks, expected, left) = measure(whole.path(), 1_000_000).unwrap();
        let calls = 1_000_000 - left;
        assert_eq!(blocks, 2);
        assert!(expected.records()[4].already && expected.records()[0].nearest.is_some());
        let error = format!("{:#}", measure(broken.path(), calls / 3).unwrap_err());
        assert!(error.contains("switched off"), "{error}");
        let (_, found, left) = measure(broken.path(), 1_000_000).unwrap();
        assert_eq!(found, expected);
        let run = RunDirectory::open(broken.path(), Mode::Run).unwrap();
        let (_, trace) = read_traced(&run, "attack", &labeled, Norm::L2, protocol.block).unwrap();
        assert_eq!(trace.len(), ensemble(Norm::L2, protocol.passes).len());
        assert!(
            trace.iter().all(|after| after.distances.len() == 5
                && after.passes.iter().all(|passes| *passes <= 100))
        );
        assert!(1_000_000 - left < calls, "finished work is not repeated");
        assert_eq!(measure(broken.path(), 0).unwrap().1, expected, "nothing is left to do");
    }
}
