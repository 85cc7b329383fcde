//! `records`: one small file per network of an experiment, which can be committed, and the tables
//! and the figure made from such files.
//!
//! A long experiment runs on several machines, and its run directories are not kept. One JSON file
//! per network is kept, with all results, the smallest perturbation of each image, and the key of
//! the training.

mod figure;
mod tables;

pub use figure::write_figure;
pub use tables::tables;

use crate::artifacts::{CURVES, DISTANCES, Distances, NetworkResult};
use crate::run::{Key, Record};
use anyhow::{Context as _, Result, bail, ensure};
use brainprior_artifact::{hash, json};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: &str = "brainprior-network-record";
const VERSION: u32 = 2;

/// The record of one network.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    format: String,
    version: u32,
    /// Name of the configuration.
    experiment: String,
    /// Commit of the program that trained the network; absent if it was built without git.
    commit: Option<String>,
    /// The processor that evaluated it.
    processor: String,
    /// Settings, hashes of the inputs, seed and device of the training.
    key: Key,
    /// A hash of `key`: equal keys give equal networks.
    config_hash: String,
    /// How its robustness was measured.
    measurement: Measurement,
    /// Duration of the training in seconds.
    training_seconds: f64,
    figures: NetworkResult,
    /// The smallest perturbation of each attacked image.
    distances: Distances,
}

/// Networks are compared only if they were evaluated in the same way.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Measurement {
    /// Section `robustness` of the configuration.
    settings: serde_json::Value,
    seed: u64,
}

/// Writes a record into `folder` for each evaluated network of the run directory `run`, and lists
/// them.
///
/// # Errors
/// Returns an error if `run` is not a run directory, no network is evaluated in it, a file cannot
/// be read or written, or a file differs from its record.
pub fn add(run: &Path, folder: &Path) -> Result<String> {
    let config = run.join("config.toml");
    let text = std::fs::read_to_string(&config).with_context(|| {
        format!("{} is not a run directory: could not read {}", run.display(), config.display())
    })?;
    let settings: toml::Table =
        text.parse().with_context(|| format!("{}: not TOML", config.display()))?;
    let Some(experiment) = settings.get("name").and_then(toml::Value::as_str) else {
        bail!("{}: no `name`, expected the configuration of a run", config.display())
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    let measured = run.join("robustness");
    let mut parts: Vec<PathBuf> = std::fs::read_dir(&measured)
        .with_context(|| {
            format!(
                "{}: no network has been evaluated yet; run stage `robustness` first",
                run.display()
            )
        })?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    parts.retain(|part| Record::path(part).is_file());
    ensure!(
        !parts.is_empty(),
        "{}: no network has been evaluated yet; run stage `robustness` first",
        run.display()
    );
    parts.sort();
    let mut said = String::new();
    for part in parts {
        let name = part.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join(format!("{experiment}-{name}.json"));
        json::write(&path, &record(run, experiment, &part, &name)?)?;
        said += &format!("{}\n", path.display());
    }
    Ok(said)
}

fn record(run: &Path, experiment: &str, part: &Path, name: &str) -> Result<NetworkRecord> {
    let measurement: Record = json::read(&Record::path(part))?;
    if let Some(file) = measurement.changed(part) {
        bail!(
            "{}: changed since stage `robustness` wrote it; run that stage again",
            part.join(file).display()
        );
    }
    ensure!(
        measurement.outputs.contains_key(DISTANCES),
        "{}: no {DISTANCES}, which earlier versions did not write; delete the folder and run stage `robustness` again",
        part.display()
    );
    let training: Record = json::read(&Record::path(&run.join("train").join(name)))?;
    Ok(NetworkRecord {
        format: FORMAT.into(),
        version: VERSION,
        experiment: experiment.to_owned(),
        commit: training.commit,
        processor: processor(),
        config_hash: hash::of_bytes(serde_json::to_string(&training.key)?.as_bytes()),
        key: training.key,
        measurement: Measurement {
            settings: measurement.key.settings()[0].clone(),
            seed: measurement.key.seed(),
        },
        training_seconds: training.seconds,
        figures: json::read(&part.join(CURVES))?,
        distances: json::read(&part.join(DISTANCES))?,
    })
}

/// Name of the processor, as the system reports it.
fn processor() -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split(':').nth(1));
    let model = model.map_or(std::env::consts::ARCH, str::trim);
    format!("{model}, {}", brainprior_kernels::instruction_set())
}

/// Reads every record in a folder, sorted by name.
fn read(folder: &Path) -> Result<Vec<NetworkRecord>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("could not read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    ensure!(
        !paths.is_empty(),
        "{}: no records (.json); add those of a run with --add RUN",
        folder.display()
    );
    let one = |path: &PathBuf| {
        let record: NetworkRecord = json::read(path)?;
        ensure!(
            record.format == FORMAT && record.version == VERSION,
            "{}: format {} version {}, expected {FORMAT} version {VERSION}",
            path.display(),
            record.format,
            record.version
        );
        Ok(record)
    };
    paths.iter().map(one).collect()
}
