//! The key of a task, which holds everything it depends on, and the record stored with its
//! artifact.

use super::DeviceName;
use super::described;
use brainprior_artifact::hash::{self, Hash};
use brainprior_artifact::identity::{Difference, Identity, first_difference};
use brainprior_kernels::Precision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the record's layout; a new version makes older artifacts stale.
const RECORD_VERSION: u32 = 3;

/// File name of the record.
const FILE: &str = "record.json";

/// Everything a task depends on. Tasks with equal keys make equal artifacts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Layout version of this record.
    record_version: u32,
    /// Version of brainprior.
    crate_version: String,
    /// Name of the task, for example `train/denoised-seed0`.
    task: String,
    /// The settings that the task reads, the hash of each input under a name independent of its
    /// location, and the stage's seed.
    #[serde(flatten)]
    identity: Identity,
    /// Device and precision of the computation.
    device: String,
    /// Locations of inputs that are not outputs of other tasks. They are not part of the key.
    #[serde(skip)]
    places: BTreeMap<String, PathBuf>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        // Name every field, so that the compiler reports a new one.
        let Self { record_version, crate_version, task, identity, device, places: _ } = self;
        (record_version, crate_version, task, identity, device)
            == (
                &other.record_version,
                &other.crate_version,
                &other.task,
                &other.identity,
                &other.device,
            )
    }
}

impl Key {
    /// A key for `task` with `settings`; [`Key::input`] adds inputs.
    pub(crate) fn new(task: &str, settings: impl Serialize, seed: u64) -> Self {
        Self {
            record_version: RECORD_VERSION,
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
            task: task.to_owned(),
            identity: Identity::new(&settings, seed),
            device: DeviceName::Cpu.name().to_owned(),
            places: BTreeMap::new(),
        }
    }

    /// A task with its own settings and the inputs, seed and device of this one.
    pub(crate) fn with(&self, task: &str, settings: impl Serialize) -> Self {
        let identity = Identity::new(&settings, self.seed());
        let identity = self
            .identity
            .inputs()
            .iter()
            .fold(identity, |identity, (name, hash)| identity.input(name, hash));
        Self { task: task.to_owned(), identity, ..self.clone() }
    }

    /// Name of the task in the run directory.
    pub(crate) fn task(&self) -> &str {
        &self.task
    }

    /// The stage of the task.
    pub(crate) fn stage(&self) -> &str {
        self.task.split('/').next().unwrap_or_default()
    }

    /// The part of the configuration that the task reads.
    pub(crate) fn settings(&self) -> &serde_json::Value {
        self.identity.settings()
    }

    /// The stage's own seed.
    pub(crate) fn seed(&self) -> u64 {
        self.identity.seed()
    }

    /// Device and precision of the computation, and the instruction set if it affects the results.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Names and hashes of the outputs of another task that this one reads.
    pub(crate) fn inputs_of(&self, task: &str) -> Vec<(&String, &Hash)> {
        let of_task =
            |name: &str| name.strip_prefix(task).is_some_and(|file| file.starts_with('/'));
        self.identity.inputs().iter().filter(|(name, _)| of_task(name)).collect()
    }

    /// The same task, computed on this device.
    pub(crate) fn on(self, device: &candle_core::Device) -> Self {
        Self { device: DeviceName::of(device).name().to_owned(), ..self }
    }

    /// The same task in this precision; in mixed precision, only the same instruction set gives the
    /// same bits.
    pub(crate) fn in_precision(self, precision: Precision) -> Self {
        Self { device: described(&self.device, precision), ..self }
    }

    /// Whether `whole` is the key of the same task, settings, seed and device, with every input of
    /// this one and perhaps more.
    pub(crate) fn is_part_of(&self, whole: &Self) -> bool {
        let inputs = whole.identity.inputs();
        let known =
            self.identity.inputs().keys().filter_map(|name| Some((name, inputs.get(name)?)));
        let identity = Identity::new(whole.identity.settings(), whole.seed());
        let identity = known.fold(identity, |identity, (name, hash)| identity.input(name, hash));
        *self == Self { identity, ..whole.clone() }
    }

    /// Adds one input by name and hash.
    pub(crate) fn input(self, name: &str, hash: &str) -> Self {
        Self { identity: self.identity.input(name, hash), ..self }
    }

    /// Sets the location of the input `name` if it is not an output of another task.
    pub(crate) fn lies_at(mut self, name: &str, path: &Path) -> Self {
        self.places.insert(name.to_owned(), path.to_owned());
        self
    }

    /// The first input that no longer matches the key. Inputs are outputs of other tasks in the run
    /// directory at `root`, and files whose locations were set with [`Key::lies_at`].
    pub(crate) fn changed_input(&self, root: &Path) -> Option<PathBuf> {
        let mut files = self.identity.inputs().iter().filter_map(|(name, hash)| {
            let place = self.places.get(name).cloned();
            Some((place.or_else(|| name.contains('/').then(|| root.join(name)))?, hash))
        });
        files.find(|(path, hash)| is_changed(path, hash)).map(|(path, _)| path)
    }

    /// Adds the given files of another task whose names begin with `prefix`. They are outside the
    /// run directory, so the task's own outputs do not reveal when they change.
    pub(crate) fn given(self, record: &Record, prefix: &str) -> Self {
        let given =
            record.key.identity.inputs().iter().filter(|(name, _)| name.starts_with(prefix));
        given.fold(self, |key, (name, hash)| key.input(name, hash))
    }

    /// Adds every output of another task.
    pub(crate) fn after(self, record: &Record) -> Self {
        record
            .outputs
            .iter()
            .fold(self, |key, (file, hash)| key.input(&format!("{}/{file}", record.key.task), hash))
    }

    /// The first difference between `found` and this key.
    pub(crate) fn first_difference(&self, found: &Self) -> Option<Difference> {
        first_difference(self, found)
    }
}

/// The record stored with a finished artifact.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The key from which it was made.
    pub(crate) key: Key,
    /// Hash of each file that the task wrote, by path within the task's folder.
    pub(crate) outputs: BTreeMap<String, Hash>,
    /// Duration of the task in seconds.
    pub(crate) seconds: f64,
    /// The commit from which the program was built; absent without git. It is not part of the key:
    /// builds of the same version count as equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
}

impl Record {
    /// Path of the record in a task's folder.
    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// The first output of the task that was changed.
    pub(crate) fn changed(&self, folder: &Path) -> Option<&str> {
        self.outputs
            .iter()
            .find(|(file, hash)| is_changed(&folder.join(file), hash))
            .map(|(file, _)| file.as_str())
    }
}

/// Whether a file differs from this hash or cannot be read.
fn is_changed(path: &Path, expected: &Hash) -> bool {
    hash::of_path(path).map_or(true, |found| found != *expected)
}
