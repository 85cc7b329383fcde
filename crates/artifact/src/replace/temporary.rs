//! Temporary files and folders.

use super::folder_of;
use super::leftovers::{Kind, Mark, sweep};
use crate::{FileError, Result};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A hidden file or folder next to a target, removed when this value is dropped.
pub(super) struct Temporary {
    path: PathBuf,
    is_renamed: bool,
}

impl Temporary {
    /// Creates an empty file with the permissions of any new file.
    pub(super) fn file(target: &Path) -> Result<Self> {
        let create =
            |path: &Path| fs::File::options().write(true).create_new(true).open(path).map(drop);
        Self::create(target, create)
            .map_err(FileError::refused(target, "create a temporary file next to it"))
    }

    /// Creates an empty folder.
    pub(super) fn folder(target: &Path) -> Result<Self> {
        let create = |path: &Path| fs::create_dir(path);
        Self::create(target, create)
            .map_err(FileError::refused(target, "create a temporary folder next to it"))
    }

    fn create(target: &Path, create: impl Fn(&Path) -> io::Result<()>) -> io::Result<Self> {
        if target.file_name().is_none() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the path does not end in a name"));
        }
        // Leftovers take disk space, so sweep whenever something is written. A failure to remove
        // them does no harm.
        if let Err(error) = sweep(folder_of(target)) {
            tracing::debug!(%error, "could not remove the leftovers of an earlier writer");
        }
        loop {
            let path = Mark::new().beside(target, Kind::Partial);
            match create(&path) {
                // A leftover of an earlier process with the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                outcome => return outcome.map(|()| Self { path, is_renamed: false }),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets the temporary name after it was renamed to the target.
    pub(super) fn was_renamed(mut self) {
        self.is_renamed = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            // A later writer sweeps up anything that cannot be removed now.
            let _ = remove(&self.path);
        }
    }
}

/// Removes a file or folder if it exists.
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
