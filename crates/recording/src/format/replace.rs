//! Writing so that what was there survives a failure.

use crate::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Lets `write` make a file under a temporary name beside `path`, syncs it and renames it to `path`. Where `write` fails,
/// the temporary file is removed and what was at `path` stays.
pub(crate) fn file(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let temporary = Temporary(beside(path, "tmp"));
    write(&temporary.0)?;
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(&temporary.0).map_err(failed(path, "sync the new file"))?;
    fs::rename(&temporary.0, path).map_err(failed(path, "put the new file into place"))?;
    // A folder cannot be opened for syncing on every system; the file itself is safe by now.
    let _ = sync(parent(path));
    Ok(())
}

/// As [`file`], for a folder: `write` finds it empty. Files are synced after all are written, which lets the file system
/// put them out together. An existing folder is moved aside for the moment of the exchange.
pub(crate) fn folder(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let temporary = Temporary(beside(path, "tmp"));
    fs::create_dir(&temporary.0).map_err(failed(path, "make a new folder beside it"))?;
    write(&temporary.0)?;
    sync_all(&temporary.0).map_err(failed(path, "sync the new folder"))?;
    let old = Temporary(beside(path, "old.tmp"));
    let moved = path.exists();
    if moved {
        fs::rename(path, &old.0).map_err(failed(path, "move the old folder aside"))?;
    }
    if let Err(source) = fs::rename(&temporary.0, path) {
        if moved {
            fs::rename(&old.0, path).map_err(failed(path, "put the old folder back"))?;
        }
        return Err(failed(path, "put the new folder into place")(source));
    }
    Ok(())
}

/// A name that is removed at the end, if it still exists.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = if self.0.is_dir() { fs::remove_dir_all(&self.0) } else { fs::remove_file(&self.0) };
    }
}

/// A hidden name in the same folder, of this process alone.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{ending}", std::process::id()));
    parent(path).join(name)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_all(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { sync_all(&path)? } else { File::open(&path)?.sync_all()? }
    }
    Ok(())
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::File { path: path.to_owned(), doing, source }
}
