//! What an artifact was made from: hashes of settings and inputs, and the record that lies beside the artifact.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Version of the record's own layout; a newer layout makes older artifacts stale.
const RECORD_VERSION: u32 = 1;

/// SHA-256 as 64 hex digits.
pub(crate) type Hash = String;

/// What a task depends on. Two tasks with equal keys make equal artifacts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// Layout version of this record.
    pub(crate) record_version: u32,
    /// Version of brainprior.
    pub(crate) crate_version: String,
    /// Which task, for example `train/denoised-seed0`.
    pub(crate) task: String,
    /// The part of the configuration that the task reads.
    pub(crate) settings: serde_json::Value,
    /// Hash of each input, by a name that does not depend on where it lies.
    pub(crate) inputs: BTreeMap<String, Hash>,
    /// The stage's own seed.
    pub(crate) seed: u64,
    /// Where the numbers were computed.
    pub(crate) device: String,
}

impl Key {
    /// A key for `task` with `settings`; inputs are added by [`Key::input`].
    pub(crate) fn new(task: &str, settings: impl Serialize, seed: u64) -> Result<Self> {
        Ok(Self {
            record_version: RECORD_VERSION,
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
            task: task.to_owned(),
            settings: serde_json::to_value(settings).context("the settings cannot be written as JSON")?,
            inputs: BTreeMap::new(),
            seed,
            device: "cpu".to_owned(),
        })
    }

    /// The stage that the task is part of.
    pub(crate) fn stage(&self) -> &str {
        self.task.split('/').next().unwrap_or_default()
    }

    /// The same task, computed on this device.
    pub(crate) fn on(self, device: &candle_core::Device) -> Self {
        Self { device: super::DeviceName::of(device).name().to_owned(), ..self }
    }

    /// Adds one input by name and hash.
    pub(crate) fn input(mut self, name: &str, hash: &str) -> Self {
        self.inputs.insert(name.to_owned(), hash.to_owned());
        self
    }

    /// Adds those given files of another task whose names begin with `prefix`: they lie outside the run directory, so that
    /// the task's own outputs do not tell when they change.
    pub(crate) fn given(mut self, record: &Record, prefix: &str) -> Self {
        let given = record.key.inputs.iter().filter(|(name, _)| name.starts_with(prefix));
        self.inputs.extend(given.map(|(name, hash)| (name.clone(), hash.clone())));
        self
    }

    /// Adds every output of another task.
    pub(crate) fn after(mut self, record: &Record) -> Self {
        for (file, hash) in &record.outputs {
            self.inputs.insert(format!("{}/{file}", record.key.task), hash.clone());
        }
        self
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
}

/// SHA-256 of a file, or of all files of a folder in the order of their names.
///
/// # Errors
/// The path, when it cannot be read.
pub(crate) fn hash_path(path: &Path) -> Result<Hash> {
    let mut hasher = Sha256::new();
    feed(path, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

/// SHA-256 of bytes.
pub(crate) fn hash_bytes(bytes: &[u8]) -> Hash {
    hex(&Sha256::digest(bytes))
}

fn feed(path: &Path, hasher: &mut Sha256) -> Result<()> {
    if path.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path)
            .with_context(|| format!("could not list {}", path.display()))?
            .collect::<std::io::Result<Vec<_>>>()?
            .into_iter()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        for entry in entries {
            hasher.update(entry.file_name().unwrap_or_default().as_encoded_bytes());
            feed(&entry, hasher)?;
        }
        return Ok(());
    }
    let mut file = std::fs::File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).with_context(|| format!("could not read {}", path.display()))?;
        if count == 0 {
            return Ok(());
        }
        hasher.update(&buffer[..count]);
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_hash_depends_on_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "1").unwrap();
        let first = hash_path(folder.path()).unwrap();
        std::fs::write(folder.path().join("a"), "2").unwrap();
        assert_ne!(first, hash_path(folder.path()).unwrap());
        std::fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        std::fs::write(folder.path().join("b"), "1").unwrap();
        assert_ne!(first, hash_path(folder.path()).unwrap());
    }
}
