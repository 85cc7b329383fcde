//! `cargo xtask attack`: the paper's evaluation for any checkpoint and image set.

use super::{
    Attackable, BATCH, Blocks, COMPARED_AT, Protocol, blocks::After, curve, images_right,
    labeled_batch, masking, norm_name, read_traced, summarize,
};
use crate::artifacts::{Added, AttackReport, Point};
use crate::run::{Key, Mode, Progress, RunDirectory};
use crate::table;
use anyhow::{Context, Result};
use brainprior_artifact::{hash, json};
use brainprior_classifier::ResNet;
use brainprior_images::{LabeledImages, read_labeled};
use brainprior_robustness::{
    LabeledBatch, MaskingSettings, MinimalPerturbations, Norm, Settings, accuracy, ensemble,
    local_optimality,
};
use candle_core::Device;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The terminal shows every n-th of the sizes in the file.
const SHOWN: usize = 5;

/// Norms to attack in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormName {
    /// Largest change of a pixel.
    Linf,
    /// Euclidean length of the change.
    L2,
    /// Sum of the changes.
    L1,
    /// Number of changed values.
    L0,
    /// Linf and L2, one after the other.
    Both,
    /// All four.
    All,
}

/// Options of the command.
#[derive(Clone, Debug)]
pub struct Options {
    /// The network: a checkpoint of brainprior, or the state dict of an equivalent PyTorch module.
    pub checkpoint: PathBuf,
    /// Labeled images, of which the test images are attacked.
    pub images: PathBuf,
    /// Number of test images, from the first.
    pub count: usize,
    /// Norm of the perturbations.
    pub norm: NormName,
    /// Output folder, which also holds the progress; `attacks/` plus the checkpoint's folder and
    /// name by default.
    pub out: Option<PathBuf>,
    /// Source networks for the transfer check.
    pub sources: Vec<PathBuf>,
    /// Images per block; an interrupted call resumes with the next attack of its block.
    pub block: usize,
    /// Forward and backward passes per image, for all attacks together.
    pub budget: usize,
    /// Number of correctly classified images for the masking checks, from the first; `None` skips
    /// the checks.
    pub masking_images: Option<usize>,
    /// Seed of all random streams.
    pub seed: u64,
    /// The commit of the program, for the records.
    pub commit: Option<&'static str>,
}

/// Results of the command.
#[derive(Clone, Debug)]
pub struct Attacked {
    /// A table of the smallest perturbations, and whether they can be trusted.
    pub text: String,
    /// Path of `attack.json` with all results.
    pub figures: PathBuf,
}

/// Attacks a checkpoint, resuming an interrupted call.
///
/// # Errors
/// Returns an error if a file cannot be read, the checkpoint does not match the images, or the
/// folder cannot be written.
pub fn run(options: &Options, device: &Device, progress: &dyn Progress) -> Result<Attacked> {
    let set = read_labeled(&options.images)?;
    let load = |path: &PathBuf| checked(ResNet::load(path)?.to_device(device)?, &set.test, path);
    let model = load(&options.checkpoint)?;
    let sources: Vec<Attackable> = options.sources.iter().map(load).collect::<Result<_>>()?;
    let labeled = labeled_batch(&set.test, options.count)?;
    let settings = Settings { seed: options.seed, batch: BATCH };

    let root = options
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("attacks").join(name_of(&options.checkpoint)));
    let run = RunDirectory::open(&root, Mode::Run)?.built_from(options.commit);
    let key = Key::new("attack", (), options.seed)
        .on(device)
        .input("checkpoint", &hash::of_path(&options.checkpoint)?)
        .input("images", &hash::of_path(&options.images)?);
    progress.line(&format!(
        "{} images of {}, results in {}",
        labeled.len(),
        options.images.display(),
        root.display()
    ));
    let clean =
        accuracy(&model, &labeled, settings)?.share().context("the set has no test images")?;

    let protocol = Protocol { passes: options.budget, block: options.block };
    let norms: &[Norm] = match options.norm {
        NormName::Linf => &[Norm::Linf],
        NormName::L2 => &[Norm::L2],
        NormName::L1 => &[Norm::L1],
        NormName::L0 => &[Norm::L0],
        NormName::Both => &[Norm::Linf, Norm::L2],
        NormName::All => &[Norm::Linf, Norm::L2, Norm::L1, Norm::L0],
    };
    let mut report = AttackReport {
        format: "brainprior-attack",
        version: 2,
        checkpoint: options.checkpoint.display().to_string(),
        images: options.images.display().to_string(),
        crate_version: env!("CARGO_PKG_VERSION"),
        seed: options.seed,
        attacked: labeled.len(),
        clean_accuracy: clean,
        minimal_perturbation: BTreeMap::new(),
        accuracy: BTreeMap::new(),
        found_by: BTreeMap::new(),
        ensemble: BTreeMap::new(),
        masking: None,
    };
    for norm in norms {
        let blocks = Blocks {
            run: &run,
            progress,
            prefix: "nearest",
            model: &model,
            labeled: &labeled,
            norm: *norm,
            protocol,
        };
        blocks.measure(&key)?;
        let (minimal, trace) = read_traced(&run, "nearest", &labeled, *norm, protocol.block)?;
        let name = norm_name(*norm).to_owned();
        report
            .minimal_perturbation
            .insert(name.clone(), summarize(&minimal, &labeled, options.seed)?);
        report.accuracy.insert(name.clone(), steps(&minimal, &labeled)?);
        report.found_by.insert(name.clone(), found_by(&minimal));
        report.ensemble.insert(name, added(*norm, protocol, &trace)?);
    }
    if let Some(count) = options.masking_images {
        let epsilon = report
            .minimal_perturbation
            .get("linf")
            .and_then(|linf| linf.median)
            .unwrap_or(8.0 / 255.0);
        let checks = MaskingSettings::at((COMPARED_AT * epsilon).min(0.5));
        report.masking = Some(masking(
            progress,
            &model,
            &sources,
            &images_right(&model, &labeled, count, settings)?,
            &checks,
            settings,
        )?);
    }
    let figures = root.join("attack.json");
    json::write(&figures, &report)?;
    Ok(Attacked { text: text(&report), figures })
}

/// The folder and name of the checkpoint without extension; every training of a run uses the same
/// file names.
fn name_of(checkpoint: &Path) -> String {
    let absolute = std::path::absolute(checkpoint).unwrap_or_else(|_| checkpoint.to_owned());
    let folder = absolute.parent().and_then(Path::file_name);
    let parts = folder.into_iter().chain(absolute.file_stem()).map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("-")
}

fn checked(network: ResNet, images: &LabeledImages, path: &Path) -> Result<Attackable> {
    Attackable::new(network, images).with_context(|| path.display().to_string())
}

/// Accuracy at twenty sizes, up to the one at which nearly all images have fallen.
fn steps(minimal: &MinimalPerturbations, labeled: &LabeledBatch) -> Result<Vec<Point>> {
    let mut sizes: Vec<f64> = minimal.distances(labeled).into_iter().flatten().collect();
    sizes.sort_by(f64::total_cmp);
    let end = sizes.get(sizes.len() * 95 / 100).copied().unwrap_or(0.0);
    curve(minimal, labeled, &(0..=20).map(|step| end * f64::from(step) / 20.0).collect::<Vec<_>>())
}

fn found_by(minimal: &MinimalPerturbations) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in minimal.records().iter().filter(|record| !record.already) {
        *counts
            .entry(record.nearest.as_ref().map_or("none", |(_, name)| name).to_owned())
            .or_default() += 1;
    }
    counts
}

/// Progress of the ensemble after each of its attacks.
fn added(norm: Norm, protocol: Protocol, trace: &[After]) -> Result<Vec<Added>> {
    let Some(last) = trace.last() else { return Ok(vec![]) };
    let one = |(attack, after): (String, &After)| -> Result<Added> {
        let mut sizes: Vec<f64> =
            after.distances.iter().map(|size| size.unwrap_or(f64::INFINITY)).collect();
        sizes.retain(|size| *size > 0.0);
        sizes.sort_by(f64::total_cmp);
        let passes: Vec<usize> =
            after.passes.iter().copied().filter(|passes| *passes > 0).collect();
        let known = last.distances.iter().flatten().any(|size| *size > 0.0);
        Ok(Added {
            attack,
            mean_passes: passes.iter().sum::<usize>() as f64 / passes.len().max(1) as f64,
            most_passes: passes.iter().copied().max().unwrap_or(0),
            found: sizes.iter().filter(|size| size.is_finite()).count(),
            median: sizes.get(sizes.len() / 2).copied().filter(|size| size.is_finite()),
            local_optimality: known
                .then(|| local_optimality(&after.distances, &last.distances))
                .transpose()?,
        })
    };
    ensemble(norm, protocol.passes).iter().map(|attack| attack.name()).zip(trace).map(one).collect()
}

/// The table of the ensemble's progress.
fn way(report: &AttackReport) -> Vec<Vec<String>> {
    let heads =
        ["norm", "after", "passes", "most passes", "images found", "median", "local optimality"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (name, all) in &report.ensemble {
        let figure =
            |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.5}"));
        rows.extend(all.iter().map(|added| {
            vec![
                name.clone(),
                added.attack.clone(),
                format!("{:.0}", added.mean_passes),
                added.most_passes.to_string(),
                added.found.to_string(),
                figure(added.median),
                figure(added.local_optimality),
            ]
        }));
    }
    rows
}

/// Accuracy over all images at some sizes per norm, which makes networks of different accuracy
/// comparable.
fn within(report: &AttackReport) -> Vec<Vec<String>> {
    let mut rows = vec![["norm", "size", "accuracy"].map(str::to_owned).to_vec()];
    for (name, curve) in &report.accuracy {
        let some = curve.iter().step_by(SHOWN);
        rows.extend(some.map(|point| {
            vec![
                name.clone(),
                format!("{:.5}", point.level),
                format!("{:.1}%", 100.0 * point.accuracy),
            ]
        }));
    }
    rows
}

fn text(report: &AttackReport) -> String {
    let mut rows =
        vec![["norm", "median", "95% interval", "correct", "censored"].map(str::to_owned).to_vec()];
    for (name, found) in &report.minimal_perturbation {
        let size = |value: Option<f64>| {
            value.map_or("not reached".to_owned(), |value| format!("{value:.5}"))
        };
        rows.push(vec![
            name.clone(),
            size(found.median),
            format!("{} to {}", size(found.low), size(found.high)),
            found.images.to_string(),
            found.censored.to_string(),
        ]);
    }
    let mut text = format!(
        "\nclean accuracy {:.1}% of {} images\n\n",
        100.0 * report.clean_accuracy,
        report.attacked
    );
    if report.minimal_perturbation.values().all(|found| found.images == 0) {
        text += "the network misclassifies every image: there is nothing to attack\n\n";
    } else {
        text += &format!(
            "accuracy over all images, by largest perturbation allowed\n{}\n",
            table::aligned(&within(report))
        );
        text += &format!(
            "progress after each attack of the ensemble, relative to the final result\n{}\n",
            table::aligned(&way(report))
        );
        text += &format!(
            "smallest perturbations of the correctly classified images\n{}\n",
            table::aligned(&rows)
        );
    }
    if let Some(masking) = &report.masking {
        text += &format!("masking: {}\n", masking.verdict);
    }
    text
}
