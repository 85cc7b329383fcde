//! Replaces folders, which a rename cannot do.

use super::leftovers::{Kind, Mark};
use super::temporary::{Temporary, remove};
use super::{is_no_answer, sync_folder};
use crate::{FileError, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Replaces the folder at `path`: `fill` writes the new contents into an empty folder with a
/// temporary name, which is then exchanged with the old one in one step. If the file system cannot
/// do that, the old folder is briefly moved aside; if this process is killed at that moment, the
/// next write into the parent folder moves it back.
///
/// # Errors
/// Returns the error of `fill`, or [`FileError`] if the file system refuses an operation. The
/// folder at `path` is kept.
pub fn folder<E: From<FileError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let temporary = Temporary::folder(path)?;
    fill(temporary.path())?;
    // All files are written before any is synced, so the file system can write them out together.
    sync_all(temporary.path()).map_err(FileError::refused(path, "sync the new folder"))?;
    if fs::symlink_metadata(path).is_err() {
        fs::rename(temporary.path(), path)
            .map_err(FileError::refused(path, "put the new folder into place"))?;
        temporary.was_renamed();
    } else if let Err(error) = exchange(temporary.path(), path) {
        if !is_no_answer(&error) {
            return Err(FileError::refused(path, "put the new folder into place")(error).into());
        }
        step_aside(temporary.path(), path)?;
        temporary.was_renamed();
    }
    // After an exchange the temporary name holds the old folder; it is removed when the value is
    // dropped.
    Ok(sync_folder(path)?)
}

fn exchange(first: &Path, second: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, first, CWD, second, RenameFlags::EXCHANGE)?)
}

/// Replaces `path` with `new` in two steps.
fn step_aside(new: &Path, path: &Path) -> Result<()> {
    let aside = Mark::new().beside(path, Kind::Aside);
    fs::rename(path, &aside).map_err(FileError::refused(path, "move the old folder aside"))?;
    if let Err(error) = fs::rename(new, path) {
        fs::rename(&aside, path).map_err(|error| {
            FileError::refused(path, "put the old folder back")(error)
                .advise(format!("it is now at {}", aside.display()))
        })?;
        return Err(FileError::refused(path, "put the new folder into place")(error));
    }
    // A later writer sweeps up anything that cannot be removed now.
    let _ = remove(&aside);
    Ok(())
}

/// Syncs files first, then the folders that contain them.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { sync_all(&path)? } else { File::open(&path)?.sync_all()? }
    }
    match File::open(folder)?.sync_all() {
        Err(error) if is_no_answer(&error) => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(path: &Path, text: &str) -> Result<()> {
        folder(path, |temporary| {
            fs::create_dir(temporary.join("data")).map_err(FileError::refused(path, "make"))?;
            fs::write(temporary.join("data/file"), text).map_err(FileError::refused(path, "write"))
        })
    }

    #[test]
    fn a_folder_comes_into_place_over_nothing_a_folder_or_a_file() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("scan");
        for text in ["first", "second"] {
            make(&path, text).unwrap();
            assert_eq!(fs::read_to_string(path.join("data/file")).unwrap(), text);
        }
        let file = around.path().join("file");
        fs::write(&file, "of the same name").unwrap();
        make(&file, "third").unwrap();
        assert_eq!(fs::read_to_string(file.join("data/file")).unwrap(), "third");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_failure_leaves_the_old_folder() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("scan");
        make(&path, "old").unwrap();
        let failed = folder(&path, |temporary| {
            fs::write(temporary.join("half"), "x").unwrap();
            Err(FileError::refused(temporary, "go on")("no more"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(path.join("data/file")).unwrap(), "old");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_steps_do_where_there_is_no_exchange() {
        let around = tempfile::tempdir().unwrap();
        let (path, new) = (around.path().join("scan"), around.path().join("new"));
        make(&path, "old").unwrap();
        make(&new, "new").unwrap();
        step_aside(&new, &path).unwrap();
        assert_eq!(fs::read_to_string(path.join("data/file")).unwrap(), "new");
        let error = step_aside(&around.path().join("none"), &path).unwrap_err().to_string();
        assert!(error.contains("could not put the new folder into place"), "{error}");
        assert_eq!(fs::read_to_string(path.join("data/file")).unwrap(), "new", "it is put back");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1);
    }
}
