//! Files of a run directory: written whole or not at all, and JSON.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// Writes to a temporary name in the same folder, syncs, and renames: a failed write leaves what was there.
///
/// # Errors
/// The path, and what the system said.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
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
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("not representable as JSON")?;
    text.push('\n');
    write_file(path, text.as_bytes())
}

/// Reads a JSON file.
///
/// # Errors
/// The path, with line and column of what does not fit.
pub(crate) fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} does not have the expected content", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        write_file(&path, b"old").unwrap();
        // A folder in the way of the final name makes the rename fail, as a full disk makes the write fail.
        let blocked = folder.path().join("taken");
        std::fs::create_dir_all(blocked.join("x")).unwrap();
        let error = write_file(&blocked, b"new").unwrap_err();
        assert!(format!("{error:#}").contains("taken"), "{error:#}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let leftovers = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(leftovers, 2, "the temporary file is gone");
    }
}
