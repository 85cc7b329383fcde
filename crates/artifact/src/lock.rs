//! Locks between processes.

use crate::{FileError, Result};
use rustix::io::Errno;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Once;

/// Errors of file systems without locks: Lustre and NFS mounted without them, and some FUSE file
/// systems.
const WITHOUT_LOCKS: [Errno; 4] = [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP];

/// A lock, held until this value is dropped. The system releases it when the process ends, however
/// it ends.
#[derive(Debug)]
#[must_use = "dropping this value releases the lock"]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Unlocks before closing: a child process that another thread is just starting has a copy of
    /// the file until it runs its program, and the lock would last as long as the copy.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "a lock was not released before its file was closed");
        }
    }
}

/// Waits for the lock at `path`, an empty file that is created if missing. Processes that use the
/// same path exclude one another, on one machine or on several that share the file system.
///
/// On a file system without locks, the first call in a process warns, and every call succeeds
/// without a lock. Users must then avoid starting two processes that do the same work.
///
/// # Errors
/// Returns [`FileError`] if the file cannot be created or locked.
pub fn take(path: &Path) -> Result<Lock> {
    let file = open(path)?;
    loop {
        match file.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return held(path, file, outcome),
        }
    }
}

/// Like [`take`] but does not wait: returns `None` if another process, or another value in this
/// one, holds the lock.
///
/// # Errors
/// See [`take`].
pub fn try_take(path: &Path) -> Result<Option<Lock>> {
    let file = open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => held(path, file, Err(error)).map(Some),
        Ok(()) => held(path, file, Ok(())).map(Some),
    }
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(FileError::refused(path, "create the lock file"))
}

fn held(path: &Path, file: File, outcome: io::Result<()>) -> Result<Lock> {
    static WARNED: Once = Once::new();
    match outcome {
        Ok(()) => {}
        Err(error)
            if WITHOUT_LOCKS
                .iter()
                .any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) =>
        {
            WARNED.call_once(|| {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "this file system has no locks: two processes could do the same work here at the same time, so \
                     start one at a time, or have it mounted with locks (flock)"
                );
            });
        }
        Err(error) => return Err(FileError::refused(path, "lock")(error)),
    }
    Ok(Lock { file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("work.lock");
        let first = take(&path).unwrap();
        assert!(try_take(&path).unwrap().is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| take(&path).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!second.is_finished(), "the second waits");
            drop(first);
            drop(second.join().unwrap());
        });
        assert!(try_take(&path).unwrap().is_some());
    }

    #[test]
    fn a_copy_of_the_file_in_a_child_does_not_hold_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("work.lock");
        let lock = take(&path).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(try_take(&path).unwrap().is_some());
        drop(inherited);
    }

    #[test]
    fn a_lock_without_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = take(&folder.path().join("none").join("work.lock")).unwrap_err().to_string();
        assert!(error.contains("work.lock: could not create the lock file"), "{error}");
    }
}
