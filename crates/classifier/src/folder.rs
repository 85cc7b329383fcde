//! The folder of a training: who works in it, and what it holds.

use crate::{Error, Result, archive};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

const LOCK: &str = "training.lock";
const BEST: &str = "best.safetensors";
const LAST: &str = "last.safetensors";

/// A folder that no other process trains in as long as this value lives.
pub(crate) struct Folder {
    path: PathBuf,
    /// The system gives the lock up when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Takes the folder, and clears away what interrupted writes left in it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let failed = |doing| move |source| Error::File { path: path.to_owned(), doing, source };
        let lock = path.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(lock).map_err(failed("make a lock file in"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { folder: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        archive::remove_partial(path).map_err(failed("clear"))?;
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

    /// The network after `epoch` (from 0), where every epoch is kept.
    pub(crate) fn snapshot(&self, epoch: usize) -> PathBuf {
        self.path.join(format!("epoch-{:03}.safetensors", epoch + 1))
    }
}
