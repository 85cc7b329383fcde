//! Reads the HDF5 files of labs. Data that cannot be read are an error that names them, never
//! made-up values.
//!
//! HDF5 itself returns fill values if an external file is missing, clips integers that do not fit,
//! truncates fractions, and ignores netCDF packing. An [`Input`] therefore checks first: a dataset
//! that it returns exists, its filters are available, all its data are present, and its numbers are
//! unpacked.

mod attributes;
mod chunk;
mod extent;
mod list;
mod numbers;
mod objects;
mod open_files;
mod own_link;
mod packing;
mod place;
mod refusal;
mod selection;
mod sources;
mod storage;
mod strings;
mod virtual_map;
mod virtual_sources;

pub use chunk::write_chunk;
pub use list::list;
pub use numbers::{Kind, Numbers};
pub use objects::{Object, Objects};
pub use sources::sources;

use crate::{FileError, Result, is_hdf5};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// An HDF5 file opened for reading.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    file: hdf5::File,
}

impl Input {
    /// Opens a file, which may begin with a user block (MATLAB files do).
    ///
    /// # Errors
    /// Returns [`FileError`] if the file is missing, not HDF5, truncated, open for writing
    /// elsewhere, or was not closed.
    pub fn open(path: &Path) -> Result<Self> {
        if !is_hdf5(path)? {
            return Err(refusal::not_hdf5(path));
        }
        // HDF5 locks a file that it writes. If locks are unavailable or disabled, none is required.
        let held = File::open(path).map_err(FileError::refused(path, "open"))?.try_lock_shared();
        if matches!(held, Err(TryLockError::WouldBlock)) {
            return Err(refusal::locked(path));
        }
        let file = hdf5::File::open(path).map_err(|cause| refusal::of_opening(path, &cause))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error: the content of `dataset` is not as expected.
    pub fn mismatch(
        &self,
        dataset: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<std::borrow::Cow<'static, str>>,
    ) -> FileError {
        FileError::mismatch(&self.path, dataset, expected, found, advice)
    }

    fn refused(&self, name: &str, cause: &hdf5::Error) -> FileError {
        refusal::of_reading(&self.path, name, cause)
    }
}

/// A shape in words; `*` stands for any size.
fn describe(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> =
        shape.iter().map(|size| size.map_or("*".to_owned(), |size| size.to_string())).collect();
    format!("({})", sizes.join(", "))
}
