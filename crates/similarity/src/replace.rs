//! Files that come into place whole, or not at all.

use crate::{Error, Result};
use std::path::Path;
use tempfile::NamedTempFile;

/// A file under a temporary name in the folder of `path`, removed unless it is put into place.
pub(crate) struct Replacement<'a> {
    file: NamedTempFile,
    path: &'a Path,
}

impl<'a> Replacement<'a> {
    /// An empty one.
    pub(crate) fn of(path: &'a Path) -> Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(".similarity-")
            .suffix(".partial")
            .tempfile_in(folder_of(path))
            .map_err(failed(path, "create a temporary file beside it"))?;
        Ok(Self { file, path })
    }

    pub(crate) fn file(&mut self) -> &mut NamedTempFile {
        &mut self.file
    }

    /// Synced, renamed to the path, and the folder synced.
    pub(crate) fn put_into_place(self) -> Result<()> {
        let Self { file, path } = self;
        // A library that opened the file by name wrote the same bytes that this handle sees.
        file.as_file().sync_all().map_err(failed(path, "sync"))?;
        file.persist(path).map_err(|error| error.error).map_err(failed(path, "rename the temporary file"))?;
        sync_folder(path)
    }
}

/// After a file of `path`'s folder was renamed.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    std::fs::File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(failed(path, "sync the folder of"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::File { path: path.to_owned(), doing, source }
}
