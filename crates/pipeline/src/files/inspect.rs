//! A description of a file for people: its kind, its contents, and the tiers, repeats and
//! reliability of scans.

use super::contents::{self, Contents};
use super::judgement::{Content, Judgement, judge};
use super::kind::{Recognized, recognize};
use super::spec::Dataset;
use anyhow::{Result, bail};
use brainprior_images::LabeledSplit;
use brainprior_recording::{Notes, Scan, Tier, median, reliability};
use std::fmt::Write;
use std::path::Path;

/// The text printed by `cargo xtask inspect`.
///
/// # Errors
/// Returns an error if the file's reader rejects it, as the stages would, or if the kind is unknown
/// and the datasets cannot be listed.
pub fn inspect(path: &Path) -> Result<String> {
    let kind = match recognize(path)? {
        Recognized::Known(kind) => kind,
        Recognized::Unknown(unknown) => {
            let Some(container) = unknown.container else { bail!(unknown.error(path)) };
            let mut text = format!("{}\n\n", unknown.error(path));
            write_contents(&contents::list(path, container)?, &[], &mut text)?;
            return Ok(text);
        }
    };
    let Judgement { spec, contents, content, remarks } = judge(path, kind)?;
    let mut text = format!("{}\n{} — {}\n\n", path.display(), spec.title, spec.description.trim());
    if let Some(contents) = &contents {
        write_contents(contents, &spec.datasets, &mut text)?;
        text.push('\n');
    }
    match &content {
        Content::Scan(read) => describe_scan(&read.0, &read.1, &mut text)?,
        Content::Images(split) => describe_images(split, &mut text)?,
        Content::Other | Content::Unread => {}
    }
    for remark in remarks {
        writeln!(text, "  note: {remark}")?;
    }
    Ok(text)
}

fn write_contents(contents: &Contents, known: &[Dataset], text: &mut String) -> Result<()> {
    let width = contents.keys().map(String::len).max().unwrap_or(0);
    for (name, entry) in contents {
        let known = known.iter().find(|dataset| dataset.matches(name));
        let meaning = known.map_or("", |dataset| dataset.meaning.as_str());
        let unit = known
            .and_then(|dataset| dataset.unit.as_deref())
            .map_or(String::new(), |unit| format!(" [{unit}]"));
        let shape = entry.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        writeln!(text, "  {name:<width$}  {:<7} {shape:<20} {meaning}{unit}", entry.dtype)?;
    }
    Ok(())
}

fn describe_scan(scan: &Scan, notes: &Notes, text: &mut String) -> Result<()> {
    let stimuli = scan.stimuli();
    let neurons = scan.responses().ncols();
    writeln!(text, "scan {}: {} trials of {neurons} neurons", scan.name(), scan.tiers().len())?;
    writeln!(
        text,
        "  distinct images   {} of {} x {} pixels",
        stimuli.len(),
        stimuli.height(),
        stimuli.width()
    )?;
    let stated = if notes.stated { ", as the file states" } else { "" };
    writeln!(
        text,
        "  pixels            0 to {} in the file, divided by {}{stated}",
        notes.white, notes.white
    )?;
    for (name, tier) in
        [("train", Tier::Train), ("validation", Tier::Validation), ("test", Tier::Test)]
    {
        writeln!(text, "  tier {name:<12} {} trials", scan.trials_in(tier).len())?;
    }
    let repeats = scan.repeats();
    let counts = || repeats.values().map(Vec::len);
    match (counts().min(), counts().max()) {
        (Some(fewest), Some(most)) => {
            writeln!(text, "  oracle images     {} shown {fewest} to {most} times", repeats.len())?
        }
        _ => {
            let shown = scan.trial_image().iter().collect::<std::collections::HashSet<_>>().len();
            let why = match shown < scan.tiers().len() {
                true => "images are repeated, but none in tier test, which holds the oracle images",
                false => "no image is repeated",
            };
            writeln!(text, "  oracle images     none: {why}, so neurons have no reliability")?;
        }
    }
    let columns = |present: Option<usize>| {
        present.map_or("missing".to_owned(), |count| format!("{count} columns"))
    };
    writeln!(text, "  behavior          {}", columns(scan.behavior().map(|array| array.ncols())))?;
    writeln!(
        text,
        "  pupil center      {}",
        columns(scan.pupil_center().map(|array| array.ncols()))
    )?;
    if repeats.is_empty() {
        return Ok(());
    }
    let found = reliability(scan)?;
    writeln!(
        text,
        "  reliability       {} neurons excluded (no variance over repeats)",
        found.excluded
    )?;
    for (name, values) in [
        ("w (signal/noise)", &found.w),
        ("oracle, jackknife", &found.oracle_jackknife),
        ("oracle, conserv.", &found.oracle_conservative),
        ("explainable var.", &found.explainable_variance),
    ] {
        let present: Vec<f64> = values.iter().flatten().copied().map(f64::from).collect();
        let (low, high) =
            present.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (value.min(low), value.max(high))
            });
        if let Some(median) = median(&present) {
            writeln!(text, "    {name:<18} median {median:.3}, from {low:.3} to {high:.3}")?;
        }
    }
    Ok(())
}

fn describe_images(split: &LabeledSplit, text: &mut String) -> Result<()> {
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
