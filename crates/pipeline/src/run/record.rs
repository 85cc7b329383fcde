//! What a task depends on, and the record that lies beside its artifact.

use super::DeviceName;
use super::described;
use brainprior_artifact::hash::{self, Hash};
use brainprior_artifact::identity::{Difference, Identity, first_difference};
use brainprior_kernels::Precision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the record's own layout; a newer layout makes older artifacts stale.
const RECORD_VERSION: u32 = 3;

/// Beside each artifact.
const FILE: &str = "record.json";

/// What a task depends on. Two tasks with equal keys make equal artifacts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Layout version of this record.
    record_version: u32,
    /// Version of brainprior.
    crate_version: String,
    /// Which task, for example `train/denoised-seed0`.
    task: String,
    /// The part of the configuration that the task reads, the hash of each input by a name that does not depend on where it
    /// lies, and the stage's own seed.
    #[serde(flatten)]
    identity: Identity,
    /// Where the numbers were computed.
    device: String,
    /// Where inputs lie that are not named as files of other tasks. It is no part of what a task depends on.
    #[serde(skip)]
    places: BTreeMap<String, PathBuf>,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        // Every field but the places stands here by name, so that the compiler asks about a new one.
        let Self { record_version, crate_version, task, identity, device, places: _ } = self;
        (record_version, crate_version, task, identity, device)
            == (&other.record_version, &other.crate_version, &other.task, &other.identity, &other.device)
    }
}

impl Key {
    /// A key for `task` with `settings`; inputs are added by [`Key::input`].
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

    /// A task with settings of its own and the inputs, seed and device of this one.
    pub(crate) fn with(&self, task: &str, settings: impl Serialize) -> Self {
        let identity = Identity::new(&settings, self.seed());
        let identity = self.identity.inputs().iter().fold(identity, |identity, (name, hash)| identity.input(name, hash));
        Self { task: task.to_owned(), identity, ..self.clone() }
    }

    /// As in the run directory.
    pub(crate) fn task(&self) -> &str {
        &self.task
    }

    /// The stage that the task is part of.
    pub(crate) fn stage(&self) -> &str {
        self.task.split('/').next().unwrap_or_default()
    }

    /// The stage's own seed.
    pub(crate) fn seed(&self) -> u64 {
        self.identity.seed()
    }

    /// Where the numbers were computed, in which precision, and by which instructions where that decides their bits.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Name and hash of each output of another task that this one reads.
    pub(crate) fn inputs_of(&self, task: &str) -> Vec<(&String, &Hash)> {
        let of_task = |name: &str| name.strip_prefix(task).is_some_and(|file| file.starts_with('/'));
        self.identity.inputs().iter().filter(|(name, _)| of_task(name)).collect()
    }

    /// The same task, computed on this device.
    pub(crate) fn on(self, device: &candle_core::Device) -> Self {
        Self { device: DeviceName::of(device).name().to_owned(), ..self }
    }

    /// The same task, computed in this precision: results of mixed precision are the same bits on the same instructions alone.
    pub(crate) fn in_precision(self, precision: Precision) -> Self {
        Self { device: described(&self.device, precision), ..self }
    }

    /// Whether `whole` is the key of the same task, settings, seed and device, with every input of this one and perhaps more.
    pub(crate) fn is_part_of(&self, whole: &Self) -> bool {
        let inputs = whole.identity.inputs();
        let known = self.identity.inputs().keys().filter_map(|name| Some((name, inputs.get(name)?)));
        let identity = Identity::new(whole.identity.settings(), whole.seed());
        let identity = known.fold(identity, |identity, (name, hash)| identity.input(name, hash));
        *self == Self { identity, ..whole.clone() }
    }

    /// Adds one input by name and hash.
    pub(crate) fn input(self, name: &str, hash: &str) -> Self {
        Self { identity: self.identity.input(name, hash), ..self }
    }

    /// Says where the input `name` lies, which is not the name of a file of another task.
    pub(crate) fn lies_at(mut self, name: &str, path: &Path) -> Self {
        self.places.insert(name.to_owned(), path.to_owned());
        self
    }

    /// The first input that is not what the key says any more. Inputs are files of other tasks in the run directory at `root`, and
    /// those of which [`Key::lies_at`] tells where they lie.
    pub(crate) fn changed_input(&self, root: &Path) -> Option<PathBuf> {
        let mut files = self.identity.inputs().iter().filter_map(|(name, hash)| {
            let place = self.places.get(name).cloned();
            Some((place.or_else(|| name.contains('/').then(|| root.join(name)))?, hash))
        });
        files.find(|(path, hash)| is_changed(path, hash)).map(|(path, _)| path)
    }

    /// Adds those given files of another task whose names begin with `prefix`: they lie outside the run directory, so that
    /// the task's own outputs do not tell when they change.
    pub(crate) fn given(self, record: &Record, prefix: &str) -> Self {
        let given = record.key.identity.inputs().iter().filter(|(name, _)| name.starts_with(prefix));
        given.fold(self, |key, (name, hash)| key.input(name, hash))
    }

    /// Adds every output of another task.
    pub(crate) fn after(self, record: &Record) -> Self {
        record.outputs.iter().fold(self, |key, (file, hash)| key.input(&format!("{}/{file}", record.key.task), hash))
    }

    /// The first thing in which `found` is another key.
    pub(crate) fn first_difference(&self, found: &Self) -> Option<Difference> {
        first_difference(self, found)
    }
}

/// What lies beside a finished artifact.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What it was made from.
    pub(crate) key: Key,
    /// Hash of each file that the task wrote, by path within the task's folder.
    pub(crate) outputs: BTreeMap<String, Hash>,
    /// How long the task took, in seconds.
    pub(crate) seconds: f64,
    /// The commit that was checked out when the program was built; absent where it was built without git. It is no part of the
    /// key: another build of one version is taken as equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
}

impl Record {
    /// Where the record of a task's folder lies.
    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// The first file of the task's folder that is no longer what the task wrote.
    pub(crate) fn changed(&self, folder: &Path) -> Option<&str> {
        self.outputs.iter().find(|(file, hash)| is_changed(&folder.join(file), hash)).map(|(file, _)| file.as_str())
    }
}

/// Whether a file is another than the one of this hash, or cannot be read.
fn is_changed(path: &Path, expected: &Hash) -> bool {
    hash::of_path(path).map_or(true, |found| found != *expected)
}
