//! A file for people: what kind it is, what it holds, and for scans the tiers, repeats and reliability.

use super::contents;
use super::spec::{Container, Kind};
use anyhow::Result;
use brainprior_images::read_labeled;
use brainprior_recording::{Scan, Tier, median, read_scan, reliability};
use std::fmt::Write;
use std::path::Path;

/// What a file holds, for people.
///
/// # Errors
/// A file of no known kind, or what its reader says.
pub fn inspect(path: &Path) -> Result<String> {
    let kind = super::kind_of(path)?;
    let spec = kind.spec()?;
    let mut text = format!("{}\n{} — {}\n\n", path.display(), spec.title, spec.description.trim());
    let listable = match spec.format {
        Container::Folder => path.is_dir(),
        Container::Safetensors => path.to_string_lossy().ends_with(".safetensors"),
        Container::Hdf5 | Container::Json => true,
    };
    if listable {
        let contents = contents::list(path, spec.format)?;
        let width = contents.keys().map(String::len).max().unwrap_or(0);
        for (name, found) in &contents {
            let known = spec.datasets.iter().find(|dataset| dataset.matches(name));
            let meaning = known.map_or("", |dataset| dataset.meaning.as_str());
            let unit = known.and_then(|dataset| dataset.unit.as_deref()).map_or(String::new(), |unit| format!(" [{unit}]"));
            let shape = found.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
            writeln!(text, "  {name:<width$}  {:<7} {shape:<20} {meaning}{unit}", found.dtype)?;
        }
        text.push('\n');
    }
    match kind {
        Kind::Scan | Kind::Sensorium => describe_scan(&read_scan(path)?, &mut text)?,
        Kind::ImageSet => describe_images(path, &mut text)?,
        _ => {}
    }
    Ok(text)
}

fn describe_scan(scan: &Scan, text: &mut String) -> Result<()> {
    let stimuli = scan.stimuli();
    let neurons = scan.responses().ncols();
    writeln!(text, "scan {}: {} trials of {neurons} neurons", scan.name(), scan.tiers().len())?;
    writeln!(text, "  distinct images   {} of {} x {} pixels", stimuli.len(), stimuli.height(), stimuli.width())?;
    for (name, tier) in [("train", Tier::Train), ("validation", Tier::Validation), ("test", Tier::Test)] {
        writeln!(text, "  tier {name:<12} {} trials", scan.trials_in(tier).len())?;
    }
    let repeats = scan.repeats();
    let counts = || repeats.values().map(Vec::len);
    match (counts().min(), counts().max()) {
        (Some(fewest), Some(most)) => writeln!(text, "  oracle images     {} shown {fewest} to {most} times", repeats.len())?,
        _ => writeln!(text, "  oracle images     none: no image is repeated, so that no neuron has a reliability")?,
    }
    let columns = |present: Option<usize>| present.map_or("missing".to_owned(), |count| format!("{count} columns"));
    writeln!(text, "  behaviour         {}", columns(scan.behavior().map(|array| array.ncols())))?;
    writeln!(text, "  pupil centre      {}", columns(scan.pupil_center().map(|array| array.ncols())))?;
    if repeats.is_empty() {
        return Ok(());
    }
    let found = reliability(scan)?;
    writeln!(text, "  reliability       {} neurons excluded (no variance over repeats)", found.excluded)?;
    for (name, values) in [
        ("w (signal/noise)", &found.w),
        ("oracle, jackknife", &found.oracle_jackknife),
        ("oracle, conserv.", &found.oracle_conservative),
        ("explainable var.", &found.explainable_variance),
    ] {
        let present: Vec<f64> = values.iter().flatten().copied().map(f64::from).collect();
        let (low, high) =
            present.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (value.min(low), value.max(high)));
        if let Some(median) = median(&present) {
            writeln!(text, "    {name:<18} median {median:.3}, from {low:.3} to {high:.3}")?;
        }
    }
    Ok(())
}

fn describe_images(path: &Path, text: &mut String) -> Result<()> {
    let split = read_labeled(path)?;
    for (name, images) in [("train", &split.train), ("test", &split.test)] {
        writeln!(
            text,
            "{name}: {} images, {} x {} x {} (channels x height x width), {} classes",
            images.len(),
            images.channels(),
            images.height(),
            images.width(),
            images.classes()
        )?;
        let mut counts = vec![0; images.classes()];
        for index in 0..images.len() {
            counts[usize::from(images.label(index))] += 1;
        }
        for (class, count) in images.class_names().iter().zip(counts) {
            writeln!(text, "  {class:<16} {count}")?;
        }
    }
    Ok(())
}
