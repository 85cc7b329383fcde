//! Image vectors in an HDF5 file.

use crate::{Result, Rows};
use brainprior_artifact::hdf5::{Input, Numbers};
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

/// A two-dimensional dataset of an HDF5 file, read on demand.
pub struct FileRows {
    numbers: Numbers,
    shape: (usize, usize),
}

impl FileRows {
    /// Opens `dataset`, `[images, dimensions]`, of any numeric type.
    ///
    /// # Errors
    /// Returns an error if the file is missing or not HDF5, or if the dataset is missing, has
    /// another number of axes or lacks data.
    pub fn open(path: &Path, dataset: &str) -> Result<Self> {
        let numbers = Input::open(path)?.numbers(dataset, &[None, None])?;
        let shape = numbers.shape();
        Ok(Self { numbers, shape: (shape[0], shape[1]) })
    }
}

impl Rows for FileRows {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn read(&self, rows: Range<usize>) -> Result<Cow<'_, [f32]>> {
        Ok(Cow::Owned(self.numbers.rows(rows)?))
    }
}
