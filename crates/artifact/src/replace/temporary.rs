//! What is in the making, under a name of its own.

use super::folder_of;
use super::leftovers::{Kind, Mark, sweep};
use crate::{FileError, Result};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A hidden name beside a target, whatever stands under it being removed at the end.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// An empty file, with the permissions that any new file has.
    pub(super) fn file(target: &Path) -> Result<Self> {
        let create = |path: &Path| fs::File::options().write(true).create_new(true).open(path).map(drop);
        Self::create(target, create).map_err(FileError::refused(target, "make a temporary file beside it"))
    }

    /// An empty folder.
    pub(super) fn folder(target: &Path) -> Result<Self> {
        let create = |path: &Path| fs::create_dir(path);
        Self::create(target, create).map_err(FileError::refused(target, "make a temporary folder beside it"))
    }

    fn create(target: &Path, create: impl Fn(&Path) -> io::Result<()>) -> io::Result<Self> {
        if target.file_name().is_none() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the path ends in no name"));
        }
        // Leftovers take room, and this is a moment at which one is looked for. What cannot be removed is in nobody's way.
        if let Err(error) = sweep(folder_of(target)) {
            tracing::debug!(%error, "leftovers of an earlier writer stay");
        }
        loop {
            let path = Mark::new().beside(target, Kind::Partial);
            match create(&path) {
                // Of a process that had the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                outcome => return outcome.map(|()| Self(path)),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The target has it now.
    pub(super) fn was_renamed(self) {
        std::mem::forget(self);
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is swept by a later writer.
        let _ = remove(&self.0);
    }
}

/// Removes a file or a folder, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
