//! Stage `robustness`: evaluates every network under noise, corruption and attack.

use super::{Inputs, Outcome, Stage, corrupted, train};
use crate::adversarial::{
    Attackable, BATCH, Blocks, COMPARED_AT, Protocol, curve, images_right, labeled_batch, masking,
    norm_name, read_blocks, summarize,
};
use crate::artifacts::{
    CURVES, DISTANCES, Distances, Kept, NetworkResult, Pictures, Point, Validation,
};
use crate::grid::Part;
use crate::run::{Context, Key, Record, jobs};
use anyhow::Result;
use brainprior_artifact::json;
use brainprior_classifier::Split;
use brainprior_images::LabeledSplit;
use brainprior_robustness::{
    AttackPoint, Clamp, Corruption, Fgsm, LabeledBatch, MaskingSettings, MinimalPerturbations,
    Noise, NoisePoint, Norm, Progress, Settings, accuracy, attack_curve, corruption_errors,
    mean_corruption_error, noise_curve,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Stage and folder of the nearest adversarial images.
const BLOCKS: &str = "robustness/nearest";
const PICTURES: &str = "pictures.json";
/// Images per block of smallest perturbations.
const BLOCK: usize = 100;
/// Images shown in the report.
const SHOWN: usize = 6;
/// Number of source networks for the transfer check.
const SOURCES: usize = 2;

/// Evaluates every network that is not evaluated yet.
pub(super) struct Robustness;

impl Stage for Robustness {
    fn name(&self) -> &'static str {
        "robustness"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["scans", "images", "similarity", "train"]
    }

    fn run(&self, context: &Context, inputs: &Inputs) -> Result<Outcome> {
        let images = inputs.of("images")?;
        let trained = train::trained(context, inputs);
        // The transfer check uses other parts of the grid, whether or not they were selected.
        let grid: Vec<(Part, Record)> = match context.selection.is_all() {
            true => trained.iter().map(|(part, record)| (*part, (*record).clone())).collect(),
            false => train::finished(context, inputs)?,
        };
        let measured = jobs::run(trained, |(part, record)| {
            // One seed for all parts: every network gets the same noise and random starts.
            let seed = context.config.seed_of("robustness");
            let settings = &context.config.robustness;
            let kept = |part: Part, record: &Record, key: Key| {
                let file = train::kept_file(part);
                key.input(&format!("{}/{file}", record.key.task()), &record.outputs[file])
            };
            let blocks_key =
                Key::new(&part.task(BLOCKS), (), seed).on(&context.device).after(images);
            let blocks_key = kept(part, record, blocks_key);
            let mut key = key(context, images, part, record);
            let network = || {
                Attackable::new(train::network(context, part)?, &super::images::load(context)?.test)
            };
            let subject = Subject { context, part, seed };
            if let Some(blocks) = subject.blocks(&blocks_key, settings, network)? {
                key = blocks.iter().fold(key, |key, block| key.after(block));
            }
            let sources: Vec<&(Part, Record)> =
                grid.iter().filter(|(other, _)| is_source(part, *other)).take(SOURCES).collect();
            key = sources.iter().fold(key, |key, (source, record)| kept(*source, record, key));
            let sources: Vec<Part> = sources.into_iter().map(|(part, _)| *part).collect();
            let measured = context.task(key, |folder| subject.measure(&sources, folder))?;
            inputs.page.refresh(context);
            Ok(measured)
        })?;
        let complete =
            measured.len() == Part::selected(context).len() && measured.iter().all(Option::is_some);
        let records = measured.into_iter().flatten().collect();
        Ok(if complete { Outcome::Done(records) } else { Outcome::Unknown })
    }
}

/// The key of the evaluation of a part, without the perturbations that are transferred to it.
fn key(context: &Context, images: &Record, part: Part, trained: &Record) -> Key {
    // Means over another set of corruptions are other figures.
    let corruptions = Corruption::ALL.map(Corruption::name);
    let settings = (&context.config.robustness, train::kept_file(part), corruptions);
    let seed = context.config.seed_of("robustness");
    Key::new(&part.task("robustness"), settings, seed)
        .on(&context.device)
        .after(images)
        .after(trained)
}

/// The record of the evaluation of a trained part, if there is one.
pub(super) fn measured(
    context: &Context,
    images: &Record,
    part: Part,
    trained: &Record,
) -> Option<Record> {
    context.run.recorded(&key(context, images, part, trained))
}

/// Networks of another condition with the same seed started with the same weights and saw the same
/// batches.
fn is_source(part: Part, other: Part) -> bool {
    other.seed == part.seed && other.condition != part.condition
}

/// One network under evaluation.
struct Subject<'a> {
    context: &'a Context,
    part: Part<'a>,
    seed: u64,
}

fn protocol(settings: &crate::config::Robustness) -> Protocol {
    Protocol { passes: settings.passes, block: BLOCK }
}

impl Subject<'_> {
    /// The smallest perturbations; `None` on a dry run.
    fn blocks(
        &self,
        key: &Key,
        settings: &crate::config::Robustness,
        network: impl Fn() -> Result<Attackable>,
    ) -> Result<Option<Vec<Record>>> {
        let Self { context, part, .. } = self;
        let Ok(test) = super::images::load(context).map(|split| split.test) else {
            return Ok(None);
        };
        let attacked = labeled_batch(&test, settings.attack_images)?;
        let model = network()?;
        let mut records = Vec::new();
        for norm in [Norm::Linf, Norm::L2] {
            let prefix = part.task(BLOCKS);
            let blocks = Blocks {
                run: &context.run,
                progress: &*context.progress,
                prefix: &prefix,
                model: &model,
                labeled: &attacked,
                norm,
                protocol: protocol(settings),
            };
            let Some(blocks) = blocks.measure(key)? else { return Ok(None) };
            records.extend(blocks);
        }
        Ok(Some(records))
    }

    fn measure(&self, sources: &[Part], folder: &Path) -> Result<Vec<String>> {
        let Self { context, part, seed } = *self;
        let settings = &context.config.robustness;
        let LabeledSplit { train: labeled, test } = super::images::load(context)?;
        let split =
            Split::new(labeled.len(), part.condition.training(), part.seed_of_training(context))?;
        let held_back = labeled_batch(&labeled.subset(split.held_back()), labeled.len())?;
        let network = train::network(context, part)?;
        let gamma = network.gamma()?;
        let model = Attackable::new(network, &test)?;
        let sources: Vec<Attackable> = sources
            .iter()
            .map(|source| Attackable::new(train::network(context, *source)?, &test))
            .collect::<Result<_>>()?;
        let run = Settings { seed, batch: BATCH };
        let (noisy, attacked) = (
            labeled_batch(&test, settings.noise_images)?,
            labeled_batch(&test, settings.attack_images)?,
        );

        let mut bar = context.progress.bar(&part.task("robustness"), 1);
        let mut show = |what: &str, progress: Progress| {
            bar.set(progress.done as u64, progress.total as u64, what)
        };
        let clean_accuracy = accuracy(&model, &noisy, run)?.share().unwrap_or_default();
        let mut gaussian = |images: &LabeledBatch| -> Result<Vec<Point>> {
            let mut observer = |progress| show("Gaussian noise", progress);
            let options = run.observed(&mut observer);
            let curve = noise_curve(
                &model,
                images,
                Noise::Gaussian,
                Clamp::Unit,
                &settings.gaussian,
                options,
            )?;
            let point = |point: NoisePoint| Point {
                level: point.level,
                accuracy: point.accuracy.share().unwrap_or_default(),
            };
            Ok(curve.into_iter().map(point).collect())
        };
        let gaussian_noise = gaussian(&noisy)?;
        let validation = Validation {
            images: held_back.len(),
            clean_accuracy: accuracy(&model, &held_back, run)?.share().unwrap_or_default(),
            gaussian_noise: gaussian(&held_back)?,
        };
        let published = corrupted::errors(context, &model, &test, run, &mut |progress| {
            show("published corruptions", progress)
        })?;
        let published_corruptions = published.is_some();
        let (corruptions, mean_corruption_error) = match published {
            Some(found) => found,
            None => {
                let images = labeled_batch(&test, settings.corruption_images)?;
                let mut observer = |progress| show("corruptions", progress);
                let errors = corruption_errors(
                    &model,
                    &images,
                    &Corruption::ALL,
                    run.observed(&mut observer),
                )?;
                let by_family = errors
                    .iter()
                    .map(|family| (family.corruption.name().to_owned(), family.errors()))
                    .collect();
                (by_family, mean_corruption_error(&errors))
            }
        };

        let unperturbed = Point {
            level: 0.0,
            accuracy: accuracy(&model, &attacked, run)?.share().unwrap_or_default(),
        };
        let mut observer = |progress| show("fgsm", progress);
        let options = run.observed(&mut observer);
        let points =
            attack_curve(&model, &Fgsm::new(Norm::Linf), &attacked, &settings.linf, options)?;
        let point = |point: AttackPoint| Point {
            level: point.epsilon,
            accuracy: point.accuracy.share().unwrap_or_default(),
        };
        let fgsm = std::iter::once(unperturbed).chain(points.into_iter().map(point)).collect();
        let mut attacks = BTreeMap::from([("fgsm".to_owned(), fgsm)]);
        let mut minimal_perturbation = BTreeMap::new();
        let mut distances = Distances::new();
        let mut pictures = Pictures::default();
        for (norm, epsilons) in [(Norm::Linf, &settings.linf), (Norm::L2, &settings.l2)] {
            let minimal = nearest(context, part, &attacked, norm)?;
            let levels: Vec<f64> = std::iter::once(0.0).chain(epsilons.iter().copied()).collect();
            attacks.insert(
                format!("ensemble_{}", norm_name(norm)),
                curve(&minimal, &attacked, &levels)?,
            );
            minimal_perturbation
                .insert(norm_name(norm).to_owned(), summarize(&minimal, &attacked, seed)?);
            distances.insert(norm_name(norm).to_owned(), minimal.distances(&attacked));
            if norm == Norm::L2 {
                pictures = shown(&minimal, &attacked);
            }
        }
        drop(bar);
        let epsilon =
            minimal_perturbation["linf"].median.unwrap_or(settings.linf[settings.linf.len() / 2]);
        let checks = MaskingSettings {
            queries: settings.masking_queries,
            ..MaskingSettings::at((COMPARED_AT * epsilon).min(0.5))
        };
        let right = images_right(&model, &noisy, settings.masking_images, run)?;
        let masking = masking(&*context.progress, &model, &sources, &right, &checks, run)?;
        let epochs = train::history(context, part)?;
        let kept = train::kept_place(part, &epochs);
        let result = NetworkResult {
            condition: part.condition.name().to_owned(),
            seed: part.seed,
            clean_accuracy,
            gaussian_noise,
            validation,
            corruptions,
            published_corruptions,
            mean_corruption_error,
            attacks,
            minimal_perturbation,
            masking: Some(masking),
            gamma,
            pair_correlation: epochs.last().and_then(|epoch| epoch.pair_correlation),
            pull: train::pull(context, part)?,
            kept: Kept {
                epoch: kept + 1,
                learning_rate: part.condition.training().learning_rate_after(kept),
            },
        };
        json::write(&folder.join(CURVES), &result)?;
        json::write(&folder.join(DISTANCES), &distances)?;
        json::write(&folder.join(PICTURES), &pictures)?;
        Ok(vec![CURVES.into(), DISTANCES.into(), PICTURES.into()])
    }
}

/// The first images and their nearest adversarial images.
fn shown(minimal: &MinimalPerturbations, labeled: &LabeledBatch) -> Pictures {
    let [_, height, width] = labeled.shape();
    let plane = |pixels: &[f32]| pixels[..height * width].to_vec();
    let count = labeled.len().min(SHOWN);
    let adversarial = minimal.records()[..count]
        .iter()
        .map(|record| record.nearest.as_ref().map(|(pixels, _)| plane(pixels)));
    Pictures {
        height,
        width,
        originals: (0..count).map(|index| plane(labeled.image(index))).collect(),
        adversarial: adversarial.collect(),
    }
}

/// The smallest perturbations of a part, for the attacked images.
pub(crate) fn nearest(
    context: &Context,
    part: Part,
    attacked: &LabeledBatch,
    norm: Norm,
) -> Result<MinimalPerturbations> {
    read_blocks(&context.run, &part.task(BLOCKS), attacked, norm, BLOCK)
}

/// The results of a part.
pub(crate) fn load(context: &Context, part: Part) -> Result<NetworkResult> {
    Ok(json::read(&context.run.folder(&part.task("robustness")).join(CURVES))?)
}

/// The pictures of a part.
pub(crate) fn pictures(context: &Context, part: Part) -> Result<Pictures> {
    Ok(json::read(&context.run.folder(&part.task("robustness")).join(PICTURES))?)
}
