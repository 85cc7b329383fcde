//! HDF5 files of matrices, pairs, neighbors and image vectors.

mod lists;
mod matrix;
mod rows;
mod triangle;

pub use lists::{write_neighbors, write_pairs};
pub use rows::FileRows;
pub use triangle::Precision;

use crate::{Error, Result};
use brainprior_artifact::{FileError, replace};
use std::path::Path;

/// By how many bytes an in-memory file grows.
const INCREMENT: usize = 1 << 24;

/// Writes a small file. It is built in memory and written as a whole, because HDF5 (1.14) crashes
/// when a dataset does not fit on the disk. The modification time is not stored, so equal contents
/// give equal bytes.
fn write_hdf5(path: &Path, fill: impl FnOnce(&hdf5::File) -> hdf5::Result<()>) -> Result<()> {
    replace::file(path, |temporary| {
        hdf5::File::with_options()
            .with_fapl(|access| access.core_options(INCREMENT, true))
            .with_fcpl(|creation| creation.obj_track_times(false))
            .create(temporary)
            .and_then(|file| {
                fill(&file)?;
                file.flush()?;
                file.close()
            })
            .map_err(refused(path, "write", "/"))
    })
}

/// HDF5 refused an operation on a dataset or an attribute; `/` is the file itself.
fn refused<'a>(
    path: &'a Path,
    doing: &'static str,
    dataset: &'a str,
) -> impl FnOnce(hdf5::Error) -> Error {
    move |source| FileError::refused(path, doing)(source).in_dataset(dataset).into()
}

/// A dataset or attribute does not match `data-specs/similarity.toml`.
fn mismatch(
    path: &Path,
    dataset: &str,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Error {
    FileError::mismatch(path, dataset, expected, found, "compute the similarities again").into()
}
