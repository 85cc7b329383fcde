//! Locks that keep a second process out.

use crate::{FileError, Result};
use rustix::io::Errno;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Once;

/// What a file system answers that has no locks: Lustre and NFS mounted without them, and some of user space.
const WITHOUT_LOCKS: [Errno; 4] = [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP];

/// A lock, held until this value is dropped. The system gives it up when the process ends, however it ends.
#[derive(Debug)]
#[must_use = "the lock is given up when this value is dropped"]
pub struct Lock {
    _file: File,
}

/// Waits for the lock at `path`, a file that is made where there is none and stays empty. All processes that ask for the same
/// path exclude one another, on one machine or on several that share the file system.
///
/// Where the file system has no locks, the first call of a process warns and every call goes on without: whoever starts two
/// processes there has to see to it that they do not do the same.
///
/// # Errors
/// A file that cannot be made or locked.
pub fn take(path: &Path) -> Result<Lock> {
    let file = open(path)?;
    loop {
        match file.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return held(path, file, outcome),
        }
    }
}

/// As [`take`], without waiting: `None` where another process, or another value of this one, holds the lock.
///
/// # Errors
/// As [`take`].
pub fn try_take(path: &Path) -> Result<Option<Lock>> {
    let file = open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => held(path, file, Err(error)).map(Some),
        Ok(()) => held(path, file, Ok(())).map(Some),
    }
}

fn open(path: &Path) -> Result<File> {
    File::options().create(true).truncate(false).write(true).open(path).map_err(FileError::refused(path, "make the lock file"))
}

fn held(path: &Path, file: File, outcome: io::Result<()>) -> Result<Lock> {
    static WARNED: Once = Once::new();
    match outcome {
        Ok(()) => {}
        Err(error) if WITHOUT_LOCKS.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) => {
            WARNED.call_once(|| {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "this file system has no locks: nothing keeps two processes from doing the same work here at once, so \
                     start one at a time, or have it mounted with locks (flock)"
                );
            });
        }
        Err(error) => return Err(FileError::refused(path, "lock")(error)),
    }
    Ok(Lock { _file: file })
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
    fn a_lock_without_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = take(&folder.path().join("none").join("work.lock")).unwrap_err().to_string();
        assert!(error.contains("work.lock: could not make the lock file"), "{error}");
    }
}
