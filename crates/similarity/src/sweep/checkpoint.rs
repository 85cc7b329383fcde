//! Checkpoint files of interrupted sweeps.

use super::Resumable;
use crate::{Error, Result};
use brainprior_artifact::{FileError, replace};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"bpsweep1";

/// A file with the state of a sweep between two runs. Only this crate reads and writes it, on
/// machines of the same byte order; it is not an exchange format.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// A checkpoint at `path`, which need not exist yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Removes the file if it exists.
    ///
    /// # Errors
    /// Returns an error if the file system refuses.
    pub fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::refused(&self.path, "remove")(source).into())
            }
            _ => Ok(()),
        }
    }

    /// The state and the number of merged tasks; `None` if there is no file.
    pub(crate) fn read<R: Resumable>(
        &self,
        fingerprint: u64,
        reduction: &R,
    ) -> Result<Option<(R::State, usize)>> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FileError::refused(&self.path, "read")(source).into()),
        };
        let broken = |found: String| Error::Checkpoint { path: self.path.clone(), found };
        let Some(body) = bytes.strip_prefix(MAGIC) else {
            return Err(broken("a file that is not a checkpoint of a sweep".into()));
        };
        let Some((body, sum)) = body.split_last_chunk::<8>() else {
            return Err(broken("a truncated file".into()));
        };
        if checksum(body) != u64::from_le_bytes(*sum) {
            return Err(broken("a file that is damaged or truncated".into()));
        }
        let mut reader = StateReader { bytes: body };
        let mut next = || reader.number().ok_or_else(|| broken("a truncated file".into()));
        let (population, settings, tasks) = (next()?, next()?, next()?);
        if population != fingerprint {
            return Err(broken("a sweep of other images, responses, weights or memory".into()));
        }
        if settings != reduction.settings() {
            return Err(broken("a sweep with another reduction or other settings".into()));
        }
        match reduction.load(&mut reader) {
            Some(state) if reader.bytes.is_empty() => Ok(Some((state, tasks as usize))),
            _ => Err(broken("an unreadable state".into())),
        }
    }

    /// Writes the file atomically.
    pub(crate) fn write<R: Resumable>(
        &self,
        fingerprint: u64,
        tasks: usize,
        reduction: &R,
        state: &R::State,
    ) -> Result<()> {
        let mut writer = StateWriter { bytes: MAGIC.to_vec() };
        for number in [fingerprint, reduction.settings(), tasks as u64] {
            writer.number(number);
        }
        reduction.save(state, &mut writer);
        let mut bytes = writer.bytes;
        bytes.extend(checksum(&bytes[MAGIC.len()..]).to_le_bytes());
        Ok(replace::bytes(&self.path, &bytes)?)
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let tail = rest.iter().fold(rest.len() as u64, |tail, byte| tail << 8 | u64::from(*byte));
    words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .chain([tail])
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| {
            (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
        })
}

/// Writes the numbers of a state.
pub struct StateWriter {
    bytes: Vec<u8>,
}

impl StateWriter {
    /// Writes a number.
    pub fn number(&mut self, number: u64) {
        self.bytes.extend(number.to_le_bytes());
    }

    /// Writes a similarity.
    pub fn value(&mut self, value: f32) {
        self.bytes.extend(value.to_le_bytes());
    }
}

/// Reads the numbers of a state in the order in which they were written.
pub struct StateReader<'a> {
    bytes: &'a [u8],
}

impl StateReader<'_> {
    /// The next number; `None` at the end.
    pub fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*number))
    }

    /// The next similarity; `None` at the end.
    pub fn value(&mut self) -> Option<f32> {
        let (value, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(f32::from_le_bytes(*value))
    }
}
