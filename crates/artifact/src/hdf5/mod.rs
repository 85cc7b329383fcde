//! Reading HDF5 files as labs have them: what cannot be read is named, and nothing is made up.
//!
//! HDF5 answers with fill values where the data lie in a file that is gone, clips integers that do not fit, cuts fractions off,
//! and knows nothing of the packing of netCDF. An [`Input`] looks first: a dataset that it hands out is there, its filters can
//! be undone, all its data exist, and its numbers come as what they stand for.

mod attributes;
mod chunk;
mod extent;
mod list;
mod numbers;
mod objects;
mod packing;
mod place;
mod refusal;
mod sources;
mod storage;
mod strings;
mod virtual_map;

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
    /// Opens a file, which may begin with a user block, as those of MATLAB do.
    ///
    /// # Errors
    /// No such file, no HDF5, cut off, being written by somebody else, or left open by a writer that was stopped.
    pub fn open(path: &Path) -> Result<Self> {
        if !is_hdf5(path)? {
            return Err(refusal::not_hdf5(path));
        }
        // Whoever writes a file with HDF5 locks it; where locks are not to be had, or HDF5 is told to use none, none is missed.
        let held = File::open(path).map_err(FileError::refused(path, "open"))?.try_lock_shared();
        if matches!(held, Err(TryLockError::WouldBlock)) {
            return Err(refusal::locked(path));
        }
        let file = hdf5::File::open(path).map_err(|cause| refusal::of_opening(path, &cause))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// That `dataset` is another than it should be.
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

/// Sizes as people write them; `*` where any size will do.
fn describe(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape.iter().map(|size| size.map_or("*".to_owned(), |size| size.to_string())).collect();
    format!("({})", sizes.join(", "))
}
