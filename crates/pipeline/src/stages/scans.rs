//! Stage `scans`: simulates scans unless files are given, then reads every scan like any other file
//! and computes the reliability of its neurons.

use super::{Inputs, Outcome, Stage};
use crate::artifacts::{ScanIndex, ScanSource};
use crate::config::Simulation;
use crate::run::{Context, Key};
use anyhow::{Context as _, Result, bail, ensure};
use brainprior_artifact::{hash, hdf5, is_hdf5, json};
use brainprior_images::{StimulusSet, procedural};
use brainprior_recording::simulation::{self, SimulationConfig, Truth};
use brainprior_recording::{
    Reliability, Responses, Scan, read_scan, read_scan_with_notes, reliability, write_static_hdf5,
};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

const HEIGHT: usize = 36;
const WIDTH: usize = 64;

/// A scan with everything that later stages need.
pub(crate) struct Loaded {
    pub(crate) scan: Scan,
    pub(crate) reliability: Reliability,
    /// For evaluation only.
    pub(crate) truth: Option<KnownTruth>,
}

/// The ground truth of a simulated scan.
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
            let mut key = Key::new("scans", &config.simulation, config.seed_of("scans"));
            if let Some(path) = &config.simulation.stimuli {
                key = given(key, "stimuli", path)?;
            }
            let seed = key.seed();
            return Ok(context.task(key, |folder| simulate(context, folder, seed))?.into());
        };
        let truth_of =
            |index: usize| config.scans.truth.as_ref().and_then(|truth| truth.get(index));
        let mut key = Key::new("scans", (), 0);
        for (index, path) in files.iter().enumerate() {
            key = given(key, &format!("scan {index}"), path)?;
            if let Some(truth) = truth_of(index) {
                key = given(key, &format!("truth {index}"), truth)?;
            }
        }
        let record = context.task(key, |folder| {
            json::write(&folder.join(INDEX), &ScanIndex { scans: sources(context, files)? })?;
            Ok(vec![INDEX.into()])
        })?;
        // A dry run reports the same problems with given files as the task would.
        if record.is_none() {
            sources(context, files)?;
        }
        Ok(record.into())
    }
}

/// The given files, each read once.
fn sources(context: &Context, files: &[PathBuf]) -> Result<Vec<ScanSource>> {
    let truth_of =
        |index: usize| context.config.scans.truth.as_ref().and_then(|truth| truth.get(index));
    let paths = files.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>()?;
    let (mut scans, mut seen) = (Vec::new(), HashMap::new());
    for ((index, path), name) in files.iter().enumerate().zip(distinct_names(&paths)) {
        let (scan, notes) = read_scan_with_notes(path)?;
        if let Some(first) = seen.insert(content(&scan), path) {
            bail!(
                "scans.files: {} and {} hold the same responses to the same images, which would be counted twice; remove one of them",
                first.display(),
                path.display()
            );
        }
        let remarks = notes.remarks();
        for remark in &remarks {
            context.progress.line(&format!("  {}: {remark}", path.display()));
        }
        let truth = truth_of(index).map(|path| absolute(path)).transpose()?;
        scans.push(ScanSource { name, scan: paths[index].clone(), truth, remarks });
    }
    Ok(scans)
}

/// Adds the content of a given file to the key, and of all other files that contain its data.
fn given(key: Key, name: &str, path: &Path) -> Result<Key> {
    let mut key = key.input(name, &hash::of_path(path)?).lies_at(name, path);
    if path.is_file() && is_hdf5(path)? {
        for (index, source) in hdf5::sources(path)?.iter().enumerate() {
            let name = format!("{name}, source {index}");
            key = key.input(&name, &hash::of_path(source)?).lies_at(&name, source);
        }
    }
    Ok(key)
}

/// The key of a later stage that reads the given scans, with their locations.
pub(super) fn read_by(key: Key, context: &Context) -> Key {
    let files = context.config.scans.files.iter().flatten().enumerate();
    files.fold(key, |key, (index, path)| key.lies_at(&format!("scan {index}"), path))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| format!("could not resolve {}", path.display()))
}

/// Hash of a scan's content, independent of its file.
fn content(scan: &Scan) -> String {
    let mut bytes = Vec::new();
    for image in scan.trial_image() {
        bytes.extend(scan.stimuli().ids()[*image].to_string().bytes());
    }
    bytes.extend(scan.responses().iter().flat_map(|value| value.to_le_bytes()));
    hash::of_bytes(&bytes)
}

/// The file names without extension; names that occur twice get the extension and as many parent
/// folders as needed to distinguish them.
fn distinct_names(paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &Path, parts: usize| {
        if parts == 0 {
            return path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        let all: Vec<_> =
            path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let kept = &all[all.len().saturating_sub(parts)..];
        kept.iter().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    let most = paths.iter().map(|path| path.components().count()).max().unwrap_or_default();
    let mut parts = vec![0; paths.len()];
    loop {
        let names: Vec<String> =
            paths.iter().zip(&parts).map(|(path, parts)| name(path, *parts)).collect();
        let shared = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
        let again: Vec<usize> = (0..names.len())
            .filter(|index| parts[*index] < most && shared(&names[*index]))
            .collect();
        if again.is_empty() {
            return names;
        }
        again.iter().for_each(|index| parts[*index] += 1);
    }
}

fn simulate(context: &Context, folder: &Path, seed: u64) -> Result<Vec<String>> {
    let settings = &context.config.simulation;
    let (stimuli, oracle) = shown(settings, seed)?;
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
        let source = ScanSource {
            name,
            scan: PathBuf::from(&scan),
            truth: Some(PathBuf::from(&truth)),
            remarks: vec![],
        };
        scans.push(source);
        outputs.extend([scan, truth]);
        bar.set(index as u64 + 1, settings.scans as u64, "");
    }
    json::write(&folder.join(INDEX), &ScanIndex { scans })?;
    Ok(outputs)
}

/// The images that simulated neurons see once, and those that they see repeatedly.
fn shown(settings: &Simulation, seed: u64) -> Result<(StimulusSet, StimulusSet)> {
    let Some(path) = &settings.stimuli else {
        let all = procedural::natural_stimuli(
            settings.images + settings.oracle_images,
            HEIGHT,
            WIDTH,
            seed,
        );
        let of = |images: Range<usize>| all.subset(&images.collect::<Vec<_>>());
        return Ok((of(0..settings.images), of(settings.images..all.len())));
    };
    let scan = read_scan(path)?;
    let repeats = scan.repeats();
    let (repeated, once): (Vec<usize>, Vec<usize>) =
        (0..scan.stimuli().len()).partition(|image| repeats.contains_key(image));
    let first = |images: Vec<usize>, wanted: usize, key: &str, which: &str| {
        ensure!(
            images.len() >= wanted,
            "simulation.stimuli: {} has {} images that {which}, but simulation.{key} asks for {wanted}; set simulation.{key}={} or less",
            path.display(),
            images.len(),
            images.len()
        );
        Ok(scan.stimuli().subset(&images[..wanted]))
    };
    let once = first(once, settings.images, "images", "it does not repeat in tier test")?;
    Ok((once, first(repeated, settings.oracle_images, "oracle_images", "it repeats in tier test")?))
}

/// Locations of the scans of the run.
pub(super) fn index(context: &Context) -> Result<ScanIndex> {
    Ok(json::read(&context.run.folder("scans").join(INDEX))?)
}

/// Reads the scans of the run, with their reliability and ground truth.
pub(crate) fn load(context: &Context) -> Result<Vec<Loaded>> {
    let folder = context.run.folder("scans");
    let index = index(context)?;
    let mut loaded = Vec::new();
    for source in index.scans {
        // Joining an absolute path returns that path, so given and simulated files are found alike.
        let scan = read_scan(&folder.join(&source.scan))?.with_name(source.name);
        let reliability = reliability(&scan)?;
        let truth = match source.truth {
            Some(path) => {
                let simulation = simulation::read_truth(&folder.join(path))?;
                Some(KnownTruth {
                    responses: simulation::truth_for(&scan, &simulation)?,
                    simulation,
                })
            }
            None => None,
        };
        loaded.push(Loaded { scan, reliability, truth });
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn scans_of_one_file_name_are_told_apart_by_their_folders() {
        let names =
            |paths: &[&str]| distinct_names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["/lab/a.h5", "/lab/b.h5"]), ["a", "b"]);
        assert_eq!(
            names(&["/lab/m1/day/scan.h5", "/lab/m2/day/scan.h5", "/lab/c.h5"]),
            ["m1/day/scan.h5", "m2/day/scan.h5", "c"]
        );
        assert_eq!(names(&["/lab/scan.h5", "/lab/scan.zip"]), ["scan.h5", "scan.zip"]);
    }

    #[test]
    fn simulated_neurons_see_the_images_of_a_given_scan_and_never_an_oracle_image_once() {
        let all = procedural::natural_stimuli(9, HEIGHT, WIDTH, 1);
        let (once, oracle) = (all.subset(&[0, 1, 2, 3, 4, 5]), all.subset(&[6, 7, 8]));
        let settings = SimulationConfig { neurons: 4, repeats: 2, ..SimulationConfig::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        write_static_hdf5(
            &path,
            &simulation::simulate("scan", &once, &oracle, &settings).unwrap().scan,
        )
        .unwrap();
        let wanted = Simulation {
            stimuli: Some(path),
            scans: 1,
            neurons: 4,
            images: 4,
            oracle_images: 2,
            repeats: 2,
        };
        let (seen, repeated) = shown(&wanted, 0).unwrap();
        assert_eq!((seen.len(), repeated.len()), (4, 2));
        assert!(seen.ids().iter().all(|id| once.position(*id).is_some()));
        assert!(repeated.ids().iter().all(|id| oracle.position(*id).is_some()));
        let error = shown(&Simulation { images: 7, ..wanted }, 0).unwrap_err().to_string();
        assert!(error.contains("has 6 images that it does not repeat in tier test, but simulation.images asks for 7"), "{error}");
    }

    #[test]
    fn a_key_knows_the_files_from_which_the_data_of_a_scan_come() {
        let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recording/tests/data/labs");
        let folder = tempfile::tempdir().unwrap();
        for name in ["virtual.h5", "virtual-source.h5", "links.h5", "links-target.h5", "tree.zip"] {
            fs::copy(labs.join(name), folder.path().join(name)).unwrap();
        }
        let keys = || {
            let key = |name: &str| {
                given(Key::new("scans", (), 0), "scan 0", &folder.path().join(name)).unwrap()
            };
            ["virtual.h5", "links.h5", "tree.zip"].map(key)
        };
        let before = keys();
        assert!(keys() == before);
        for name in ["virtual-source.h5", "links-target.h5"] {
            let path = folder.path().join(name);
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        let after = keys();
        assert!(after[0] != before[0] && after[1] != before[1] && after[2] == before[2]);
    }
}
