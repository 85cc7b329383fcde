//! Vectors of images in an HDF5 file.

use super::refused;
use crate::{Result, Rows};
use brainprior_artifact::FileError;
use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A two-dimensional dataset of an HDF5 file, read when it is needed.
pub struct FileRows {
    path: PathBuf,
    dataset: hdf5::Dataset,
    shape: (usize, usize),
}

impl FileRows {
    /// Opens `dataset`, `[images, dimensions]`, of any type of float.
    ///
    /// # Errors
    /// Not a file, not HDF5, no such dataset, another number of axes.
    pub fn open(path: &Path, dataset: &str) -> Result<Self> {
        std::fs::File::open(path).map_err(FileError::refused(path, "open"))?;
        let opened = hdf5::File::open(path).and_then(|file| file.dataset(dataset)).map_err(refused(path, "open", dataset))?;
        match opened.shape()[..] {
            [images, dimensions] => Ok(Self { path: path.to_owned(), dataset: opened, shape: (images, dimensions) }),
            ref other => {
                let (expected, advice) = ("two axes, images and dimensions", "name another dataset, or reshape this one");
                Err(FileError::mismatch(path, dataset, expected, format!("shape {other:?}"), advice).into())
            }
        }
    }
}

impl Rows for FileRows {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn read(&self, rows: Range<usize>) -> Result<Cow<'_, [f32]>> {
        let values = self.dataset.read_slice_2d::<f32, _>((rows, ..));
        let values = values.map_err(|source| refused(&self.path, "read", &self.dataset.name())(source))?;
        Ok(Cow::Owned(values.into_raw_vec_and_offset().0))
    }
}
