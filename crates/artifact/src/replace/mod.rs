//! Atomic replacement of files and folders.
//!
//! Everything is written under a hidden temporary name in the folder of its target, synced and
//! renamed; then the folder is synced, too. Whatever fails, and whenever the process is killed, the
//! target has either its old or its new content. Permissions follow the umask, as for any new file,
//! so that colleagues can read files on shared disks.
//!
//! A killed writer leaves its temporary file behind. The next write into the same folder removes it
//! ([`sweep`]) if its writer ran on this machine, under this user, since the last boot, and has
//! ended. Whether a writer on another machine still runs cannot be known, so its leftovers stay
//! until somebody deletes them.

mod folder;
mod leftovers;
mod temporary;

pub use folder::folder;
pub use leftovers::sweep;

use crate::{FileError, Result};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use temporary::Temporary;

/// Replaces the file at `path` with `bytes`.
///
/// # Errors
/// Returns [`FileError`] if the file system refuses an operation; the file at `path` is kept.
pub fn bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    file(path, |temporary| {
        let written =
            File::options().write(true).open(temporary).and_then(|mut file| file.write_all(bytes));
        // The message should not show the name of the temporary file.
        written.map_err(FileError::refused(path, "write"))
    })
}

/// Replaces the file at `path`: `write` fills an empty temporary file, given its path. Libraries
/// may open that path, truncate the file or replace it.
///
/// # Errors
/// Returns the error of `write`, or [`FileError`] if the file system refuses an operation. The file
/// at `path` is kept.
pub fn file<E: From<FileError>>(
    path: &Path,
    write: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let temporary = Temporary::file(path)?;
    write(temporary.path())?;
    put(temporary.path(), path)?;
    temporary.was_renamed();
    Ok(())
}

/// Replaces the file at `path` with a finished file in the same folder. For files that take so long
/// to write that later processes resume them, under a name of their own.
///
/// # Errors
/// Returns [`FileError`] if the file system refuses an operation; the file at `path` and `finished`
/// are kept.
pub fn with_finished(path: &Path, finished: &Path) -> Result<()> {
    put(finished, path)
}

fn put(from: &Path, path: &Path) -> Result<()> {
    // Opened again, since the writer may have replaced it.
    File::open(from)
        .and_then(|file| file.sync_all())
        .map_err(FileError::refused(path, "sync the new file"))?;
    fs::rename(from, path).map_err(FileError::refused(path, "put the new file into place"))?;
    sync_folder(path)
}

/// Syncs the folder of `path`.
fn sync_folder(path: &Path) -> Result<()> {
    match File::open(folder_of(path)).and_then(|folder| folder.sync_all()) {
        // Some file systems sync folders by themselves and refuse the call, and a folder may be
        // writable but not readable.
        Err(error) if is_no_answer(&error) => Ok(()),
        outcome => outcome.map_err(FileError::refused(path, "sync the folder of the new file")),
    }
}

fn is_no_answer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied
    )
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        bytes(&path, b"old").unwrap();
        let failed = file(&path, |temporary| {
            fs::write(temporary, "half").unwrap();
            Err(FileError::refused(temporary, "go on")("no more"))
        });
        assert!(failed.unwrap_err().to_string().contains("no more"));
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"old".to_vec(), vec!["results.json".to_owned()])
        );
    }

    #[test]
    fn a_panic_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        bytes(&path, b"old").unwrap();
        let panics = || file::<FileError>(&path, |_| panic!("a bug of the caller"));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"old".to_vec(), vec!["results.json".to_owned()])
        );
    }

    #[test]
    fn a_name_that_is_taken_by_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("x")).unwrap();
        let error = bytes(&taken, b"new").unwrap_err().to_string();
        assert!(error.contains("taken: could not put the new file into place"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);
        let error = bytes(&folder.path().join("none").join("x"), b"new").unwrap_err().to_string();
        assert!(error.contains("none/x: could not create a temporary file next to it"), "{error}");
    }

    #[test]
    fn a_writer_may_replace_the_file_that_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("matrix.h5");
        file::<FileError>(&path, |temporary| {
            fs::remove_file(temporary).unwrap();
            fs::write(temporary, "whole").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_file_that_was_gone_on_with_comes_into_place() {
        let folder = tempfile::tempdir().unwrap();
        let (path, own) =
            (folder.path().join("matrix.h5"), folder.path().join("matrix.h5.unfinished"));
        bytes(&path, b"old").unwrap();
        assert!(with_finished(&path, &own).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::write(&own, "whole").unwrap();
        with_finished(&path, &own).unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"whole".to_vec(), vec!["matrix.h5".to_owned()])
        );
    }

    #[test]
    fn a_bare_name_lies_in_the_folder_at_hand() {
        assert_eq!(folder_of(Path::new("results.json")), Path::new("."));
        assert_eq!(folder_of(Path::new("runs/results.json")), Path::new("runs"));
    }
}
