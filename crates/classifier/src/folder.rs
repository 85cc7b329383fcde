//! The folder of a training: its lock and its files.

use crate::{Error, Result};
use brainprior_artifact::{lock, replace};
use std::path::{Path, PathBuf};

const LOCK: &str = "training.lock";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";

/// A folder that is locked against other training processes while this value lives, if the file
/// system supports locks.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: lock::Lock,
}

impl Folder {
    /// Locks the folder and removes what interrupted writes left in it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let lock = lock::try_take(&path.join(LOCK))?
            .ok_or_else(|| Error::Busy { folder: path.to_owned() })?;
        replace::sweep(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The network with the lowest validation loss so far.
    pub(crate) fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// The network after the last finished epoch.
    pub(crate) fn last(&self) -> PathBuf {
        self.path.join(LAST)
    }

    /// The network after `epoch` (from 0), if every epoch is kept.
    pub(crate) fn snapshot(&self, epoch: usize) -> PathBuf {
        self.path.join(format!("epoch-{:03}.safetensors", epoch + 1))
    }
}
