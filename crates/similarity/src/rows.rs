//! Where the vectors of images come from: memory, a file, or a formula.

use crate::{Error, Result};
use ndarray::ArrayView2;
use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Vectors of images, `[images, dimensions]`, read a few rows at a time and as often as needed: once for the means and once
/// or more for the products. Every reading of a row must give the same values.
pub trait Rows: Sync {
    /// Images and dimensions.
    fn shape(&self) -> (usize, usize);

    /// Some rows, row-major, `rows.len() * dimensions` values.
    ///
    /// # Errors
    /// Whatever the source refuses.
    fn read(&self, rows: Range<usize>) -> Result<Cow<'_, [f32]>>;
}

impl Rows for ArrayView2<'_, f32> {
    fn shape(&self) -> (usize, usize) {
        self.dim()
    }

    fn read(&self, rows: Range<usize>) -> Result<Cow<'_, [f32]>> {
        let (_, dimensions) = self.dim();
        Ok(match self.as_slice() {
            Some(values) => Cow::Borrowed(&values[rows.start * dimensions..rows.end * dimensions]),
            None => Cow::Owned(self.slice(ndarray::s![rows, ..]).iter().copied().collect()),
        })
    }
}

/// Rows computed when they are asked for: `fill(first, values)` writes the rows from `first` on, as many as fit `values`.
pub struct Computed<F> {
    images: usize,
    dimensions: usize,
    fill: F,
}

impl<F: Fn(usize, &mut [f32]) + Sync> Computed<F> {
    /// `fill` must give the same values whenever it is asked for a row.
    pub fn new(images: usize, dimensions: usize, fill: F) -> Self {
        Self { images, dimensions, fill }
    }
}

impl<F: Fn(usize, &mut [f32]) + Sync> Rows for Computed<F> {
    fn shape(&self) -> (usize, usize) {
        (self.images, self.dimensions)
    }

    fn read(&self, rows: Range<usize>) -> Result<Cow<'_, [f32]>> {
        let mut values = vec![0.0; rows.len() * self.dimensions];
        (self.fill)(rows.start, &mut values);
        Ok(Cow::Owned(values))
    }
}

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
        std::fs::File::open(path).map_err(|source| Error::File { path: path.to_owned(), doing: "open", source })?;
        let failed = |source| Error::Hdf5 { path: path.to_owned(), doing: "open", dataset: dataset.to_owned().into(), source };
        let opened = hdf5::File::open(path).and_then(|file| file.dataset(dataset)).map_err(failed)?;
        match opened.shape()[..] {
            [images, dimensions] => Ok(Self { path: path.to_owned(), dataset: opened, shape: (images, dimensions) }),
            ref other => Err(Error::Layout {
                path: path.to_owned(),
                dataset: dataset.to_owned().into(),
                expected: "two axes, images and dimensions".into(),
                found: format!("shape {other:?}"),
            }),
        }
    }
}

impl Rows for FileRows {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn read(&self, rows: Range<usize>) -> Result<Cow<'_, [f32]>> {
        let values = self.dataset.read_slice_2d::<f32, _>((rows, ..)).map_err(|source| Error::Hdf5 {
            path: self.path.clone(),
            doing: "read",
            dataset: self.dataset.name().into(),
            source,
        })?;
        Ok(Cow::Owned(values.into_raw_vec_and_offset().0))
    }
}
