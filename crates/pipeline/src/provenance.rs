//! What an artifact was made from: hashes of settings and inputs, and the record that lies beside the artifact.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

/// Version of the record's own layout; a newer layout makes older artifacts stale.
const RECORD_VERSION: u32 = 1;

/// SHA-256 as 64 hex digits.
pub type Hash = String;

/// What a task depends on. Two tasks with equal keys make equal artifacts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Layout version of this record.
    pub record_version: u32,
    /// Version of brainprior.
    pub crate_version: String,
    /// Which task, for example `train/denoised-seed0`.
    pub task: String,
    /// The part of the configuration that the task reads.
    pub settings: serde_json::Value,
    /// Hash of each input, by a name that does not depend on where it lies.
    pub inputs: BTreeMap<String, Hash>,
    /// The stage's own seed.
    pub seed: u64,
    /// Where the numbers were computed.
    pub device: String,
}

impl Key {
    /// A key for `task` with `settings`; inputs are added by [`Key::input`].
    pub fn new(task: &str, settings: impl Serialize, seed: u64) -> Result<Self> {
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

    /// The same task, computed on this device.
    pub fn on(self, device: &candle_core::Device) -> Self {
        Self { device: super::device::name(device).to_owned(), ..self }
    }

    /// Adds one input by name and hash.
    pub fn input(mut self, name: &str, hash: &str) -> Self {
        self.inputs.insert(name.to_owned(), hash.to_owned());
        self
    }

    /// Adds those given files of another task whose names begin with `prefix`: they lie outside the run directory, so that
    /// the task's own outputs do not tell when they change.
    pub fn given(mut self, record: &Record, prefix: &str) -> Self {
        let given = record.key.inputs.iter().filter(|(name, _)| name.starts_with(prefix));
        self.inputs.extend(given.map(|(name, hash)| (name.clone(), hash.clone())));
        self
    }

    /// Adds every output of another task.
    pub fn after(mut self, record: &Record) -> Self {
        for (file, hash) in &record.outputs {
            self.inputs.insert(format!("{}/{file}", record.key.task), hash.clone());
        }
        self
    }
}

/// What lies beside a finished artifact.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What it was made from.
    pub key: Key,
    /// Hash of each file that the task wrote, by path within the task's folder.
    pub outputs: BTreeMap<String, Hash>,
    /// How long the task took, in seconds.
    pub seconds: f64,
}

/// SHA-256 of a file, or of all files of a folder in the order of their names.
///
/// # Errors
/// The path, when it cannot be read.
pub fn hash_path(path: &Path) -> Result<Hash> {
    let mut hasher = Sha256::new();
    feed(path, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

/// SHA-256 of bytes.
pub fn hash_bytes(bytes: &[u8]) -> Hash {
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

/// Writes to a temporary name in the same folder, syncs, and renames: a failed write leaves what was there.
///
/// # Errors
/// The path, and what the system said.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| {
        format!("could not write {} ({} bytes); what was there before is untouched", path.display(), bytes.len())
    })
}

/// Writes a value as indented JSON, atomically.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("not representable as JSON")?;
    text.push('\n');
    write_atomically(path, text.as_bytes())
}

/// Reads a JSON file.
///
/// # Errors
/// The path, with line and column of what does not fit.
pub fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} does not have the expected content", path.display()))
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

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        write_atomically(&path, b"old").unwrap();
        // A folder in the way of the final name makes the rename fail, as a full disk makes the write fail.
        let blocked = folder.path().join("taken");
        std::fs::create_dir_all(blocked.join("x")).unwrap();
        let error = write_atomically(&blocked, b"new").unwrap_err();
        assert!(format!("{error:#}").contains("taken"), "{error:#}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let leftovers = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(leftovers, 2, "the temporary file is gone");
    }
}
