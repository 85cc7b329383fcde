//! `cargo xtask attack`: the paper's protocol on any checkpoint and any image set.

use super::{
    Attackable, BATCH, COMPARED_AT, Protocol, curve, labeled_batch, masking, measure_blocks, norm_name, read_blocks, summarize,
};
use crate::command_line::{AttackArguments, NormName};
use crate::pipeline::progress::Terminal;
use crate::pipeline::provenance::{self, Key};
use crate::pipeline::results::{Masking, MinimalPerturbation, Point};
use crate::pipeline::run_directory::{Mode, RunDirectory};
use crate::pipeline::table;
use anyhow::{Context, Result};
use brainprior_classifier::ResNet;
use brainprior_images::{LabeledImages, read_labeled};
use brainprior_robustness::{LabeledBatch, MaskingSettings, MinimalPerturbations, Norm, Settings, accuracy};
use candle_core::Device;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `attack.json`.
#[derive(Serialize)]
struct Report {
    format: &'static str,
    version: u32,
    checkpoint: String,
    images: String,
    crate_version: &'static str,
    seed: u64,
    attacked: usize,
    clean_accuracy: f64,
    minimal_perturbation: BTreeMap<String, MinimalPerturbation>,
    /// Accuracy at rising sizes of the smallest perturbations.
    accuracy: BTreeMap<String, Vec<Point>>,
    /// How many images each attack came nearest to.
    found_by: BTreeMap<String, BTreeMap<String, usize>>,
    masking: Option<Masking>,
}

/// Runs the command.
pub fn run(arguments: &AttackArguments, device: &Device) -> Result<()> {
    let terminal = Terminal::new();
    let set = read_labeled(&arguments.images)?;
    let load = |path: &PathBuf| checked(ResNet::load(path)?.to_device(device)?, &set.test, path);
    let model = load(&arguments.checkpoint)?;
    let sources: Vec<Attackable> = arguments.sources.iter().map(load).collect::<Result<_>>()?;
    let labeled = labeled_batch(&set.test, arguments.count.into())?;
    let settings = Settings { seed: arguments.seed, batch: BATCH };

    let root = arguments.out.clone().unwrap_or_else(|| PathBuf::from("attacks").join(name_of(&arguments.checkpoint)));
    let run = RunDirectory::open(&root, Mode::Run)?;
    let key = Key::new("attack", (), arguments.seed)?
        .on(device)
        .input("checkpoint", &provenance::hash_path(&arguments.checkpoint)?)
        .input("images", &provenance::hash_path(&arguments.images)?);
    terminal.line(&format!("{} images of {}, in {}", labeled.len(), arguments.images.display(), root.display()));
    let clean = accuracy(&model, &labeled, settings)?.context("the set has no test images")?;

    let protocol = Protocol { decision_boundary_steps: arguments.border_steps.into(), block: arguments.block.into() };
    let norms: &[Norm] = match arguments.norm {
        NormName::Linf => &[Norm::Linf],
        NormName::L2 => &[Norm::L2],
        NormName::Both => &[Norm::Linf, Norm::L2],
    };
    let mut report = Report {
        format: "brainprior-attack",
        version: 1,
        checkpoint: arguments.checkpoint.display().to_string(),
        images: arguments.images.display().to_string(),
        crate_version: env!("CARGO_PKG_VERSION"),
        seed: arguments.seed,
        attacked: labeled.len(),
        clean_accuracy: clean,
        minimal_perturbation: BTreeMap::new(),
        accuracy: BTreeMap::new(),
        found_by: BTreeMap::new(),
        masking: None,
    };
    for norm in norms {
        measure_blocks(&run, &terminal, "nearest", &key, &model, &labeled, *norm, protocol)?;
        let minimal = read_blocks(&run, "nearest", &labeled, *norm, protocol.block)?;
        let name = norm_name(*norm).to_owned();
        report.minimal_perturbation.insert(name.clone(), summarize(&minimal, &labeled, arguments.seed)?);
        report.accuracy.insert(name.clone(), steps(&minimal, &labeled));
        report.found_by.insert(name, found_by(&minimal));
    }
    if !arguments.no_masking {
        let epsilon = report.minimal_perturbation.get("linf").and_then(|linf| linf.median).unwrap_or(8.0 / 255.0);
        let some = labeled.subset(&(0..labeled.len().min(arguments.masking_images.into())).collect::<Vec<_>>());
        report.masking =
            Some(masking(&terminal, &model, &sources, &some, &MaskingSettings::at((COMPARED_AT * epsilon).min(0.5)), settings)?);
    }
    provenance::write_json(&root.join("attack.json"), &report)?;
    print!("{}", text(&report));
    println!("figures: {}", root.join("attack.json").display());
    Ok(())
}

/// The checkpoint's folder and file without its ending: every training of a run leaves files of the same names.
fn name_of(checkpoint: &Path) -> String {
    let absolute = std::path::absolute(checkpoint).unwrap_or_else(|_| checkpoint.to_owned());
    let folder = absolute.parent().and_then(Path::file_name);
    let parts = folder.into_iter().chain(absolute.file_stem()).map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("-")
}

fn checked(network: ResNet, images: &LabeledImages, path: &Path) -> Result<Attackable> {
    Attackable::new(network, images).with_context(|| path.display().to_string())
}

/// The curve at twenty steps up to where nearly all images have fallen.
fn steps(minimal: &MinimalPerturbations, labeled: &LabeledBatch) -> Vec<Point> {
    let mut sizes: Vec<f64> = minimal.distances(labeled).into_iter().flatten().collect();
    sizes.sort_by(f64::total_cmp);
    let end = sizes.get(sizes.len() * 95 / 100).copied().unwrap_or(0.0);
    curve(minimal, labeled, &(0..=20).map(|step| end * f64::from(step) / 20.0).collect::<Vec<_>>())
}

fn found_by(minimal: &MinimalPerturbations) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in minimal.records().iter().filter(|record| !record.already) {
        *counts.entry(record.nearest.as_ref().map_or("none", |(_, name)| name).to_owned()).or_default() += 1;
    }
    counts
}

fn text(report: &Report) -> String {
    let mut rows = vec![["norm", "median", "95% interval", "right", "censored"].map(str::to_owned).to_vec()];
    for (name, found) in &report.minimal_perturbation {
        let size = |value: Option<f64>| value.map_or("beyond all".to_owned(), |value| format!("{value:.5}"));
        rows.push(vec![
            name.clone(),
            size(found.median),
            format!("{} to {}", size(found.low), size(found.high)),
            found.images.to_string(),
            found.censored.to_string(),
        ]);
    }
    let mut text = format!("\nclean accuracy {:.1}% of {} images\n\n", 100.0 * report.clean_accuracy, report.attacked);
    if report.minimal_perturbation.values().all(|found| found.images == 0) {
        text += "every image is misclassified as it is: there is nothing to attack\n\n";
    } else {
        text += &format!("smallest perturbations of the images that are classified rightly\n{}\n", table::aligned(&rows));
    }
    if let Some(masking) = &report.masking {
        text += &format!("masking: {}\n", masking.verdict);
    }
    text
}
