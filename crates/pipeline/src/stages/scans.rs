//! Stage `scans`: simulates scans where no files are given, then reads every scan as anyone's file and measures how
//! reliable its neurons are.

use super::{Inputs, Outcome, Stage};
use crate::artifacts::{ScanIndex, ScanSource};
use crate::run::{Context, Key};
use anyhow::{Context as _, Result};
use brainprior_artifact::{hash, hdf5, is_hdf5, json};
use brainprior_images::procedural;
use brainprior_recording::simulation::{self, SimulationConfig, Truth};
use brainprior_recording::{Reliability, Responses, Scan, read_scan, read_scan_with_notes, reliability, write_static_hdf5};
use std::path::{Path, PathBuf};

const HEIGHT: usize = 36;
const WIDTH: usize = 64;

/// A scan with everything that later stages ask of it.
pub(crate) struct Loaded {
    pub(crate) scan: Scan,
    pub(crate) reliability: Reliability,
    /// For measuring only.
    pub(crate) truth: Option<KnownTruth>,
}

/// What simulated a scan.
pub(crate) struct KnownTruth {
    /// Expected responses to the scan's stimuli, in its order.
    pub(crate) responses: Responses,
    pub(crate) simulation: Truth,
}

const INDEX: &str = "index.json";

/// Writes simulated scans, or records the given files.
pub(super) struct Scans;

impl Stage for Scans {
    fn name(&self) -> &'static str {
        "scans"
    }

    fn inputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn run(&self, context: &Context, _inputs: &Inputs) -> Result<Outcome> {
        let config = &context.config;
        let Some(files) = &config.scans.files else {
            let key = Key::new("scans", &config.simulation, config.seed_of("scans"));
            let seed = key.seed();
            return Ok(context.task(key, |folder| simulate(context, folder, seed))?.into());
        };
        let truth_of = |index: usize| config.scans.truth.as_ref().and_then(|truth| truth.get(index));
        let mut key = Key::new("scans", (), 0);
        for (index, path) in files.iter().enumerate() {
            key = given(key, &format!("scan {index}"), path)?;
            if let Some(truth) = truth_of(index) {
                key = given(key, &format!("truth {index}"), truth)?;
            }
        }
        Ok(context
            .task(key, |folder| {
                let mut scans = Vec::new();
                for (index, path) in files.iter().enumerate() {
                    let (_, notes) = read_scan_with_notes(path)?;
                    let remarks = notes.remarks();
                    for remark in &remarks {
                        context.progress.line(&format!("  {}: {remark}", path.display()));
                    }
                    let truth = truth_of(index).map(|path| absolute(path)).transpose()?;
                    scans.push(ScanSource { scan: absolute(path)?, truth, remarks });
                }
                json::write(&folder.join(INDEX), &ScanIndex { scans })?;
                Ok(vec![INDEX.into()])
            })?
            .into())
    }
}

/// The key with the content of a given file, and of all other files from which its data come.
fn given(key: Key, name: &str, path: &Path) -> Result<Key> {
    let mut key = key.input(name, &hash::of_path(path)?);
    if path.is_file() && is_hdf5(path)? {
        for (index, source) in hdf5::sources(path)?.iter().enumerate() {
            key = key.input(&format!("{name}, source {index}"), &hash::of_path(source)?);
        }
    }
    Ok(key)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| format!("could not resolve {}", path.display()))
}

fn simulate(context: &Context, folder: &Path, seed: u64) -> Result<Vec<String>> {
    let settings = &context.config.simulation;
    let all = procedural::natural_stimuli(settings.images + settings.oracle_images, HEIGHT, WIDTH, seed);
    let stimuli = all.subset(&(0..settings.images).collect::<Vec<_>>());
    let oracle = all.subset(&(settings.images..all.len()).collect::<Vec<_>>());
    let mut outputs = vec![INDEX.to_owned()];
    let mut scans = Vec::new();
    let mut bar = context.progress.bar("simulating scans", settings.scans as u64);
    for index in 0..settings.scans {
        let name = format!("sim-{}", index + 1);
        let simulation = SimulationConfig {
            neurons: settings.neurons,
            repeats: settings.repeats,
            seed: seed.wrapping_add(1 + index as u64),
            ..SimulationConfig::default()
        };
        let simulated = simulation::simulate(&name, &stimuli, &oracle, &simulation)?;
        let (scan, truth) = (format!("{name}.h5"), format!("{name}.truth.h5"));
        write_static_hdf5(&folder.join(&scan), &simulated.scan)?;
        simulation::write_truth(&folder.join(&truth), &simulated.truth)?;
        scans.push(ScanSource { scan: PathBuf::from(&scan), truth: Some(PathBuf::from(&truth)), remarks: vec![] });
        outputs.extend([scan, truth]);
        bar.set(index as u64 + 1, settings.scans as u64, "");
    }
    json::write(&folder.join(INDEX), &ScanIndex { scans })?;
    Ok(outputs)
}

/// Where the scans of the run lie.
pub(super) fn index(context: &Context) -> Result<ScanIndex> {
    Ok(json::read(&context.run.folder("scans").join(INDEX))?)
}

/// Reads the scans of the run, their reliability and their truth.
pub(crate) fn load(context: &Context) -> Result<Vec<Loaded>> {
    let folder = context.run.folder("scans");
    let index = index(context)?;
    let mut loaded = Vec::new();
    for source in index.scans {
        // Joining an absolute path gives that path, so that given files and simulated ones are found alike.
        let scan = read_scan(&folder.join(&source.scan))?;
        let reliability = reliability(&scan)?;
        let truth = match source.truth {
            Some(path) => {
                let simulation = simulation::read_truth(&folder.join(path))?;
                Some(KnownTruth { responses: simulation::truth_for(&scan, &simulation)?, simulation })
            }
            None => None,
        };
        loaded.push(Loaded { scan, reliability, truth });
    }
    Ok(loaded)
}
