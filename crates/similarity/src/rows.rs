//! Sources of image vectors: memory, or a formula.

use crate::Result;
use ndarray::ArrayView2;
use std::borrow::Cow;
use std::ops::Range;

/// Image vectors, `[images, dimensions]`, read a few rows at a time and repeatedly: once for the
/// means, and at least once for the products. Reading a row must always give the same values.
pub trait Rows: Sync {
    /// Numbers of images and dimensions.
    fn shape(&self) -> (usize, usize);

    /// Reads rows, row-major: `rows.len() * dimensions` values.
    ///
    /// # Errors
    /// Returns an error if the source fails.
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

/// Rows computed on demand: `fill(first, values)` writes the rows from `first` on, as many as
/// `values` holds.
pub struct Computed<F> {
    images: usize,
    dimensions: usize,
    fill: F,
}

impl<F: Fn(usize, &mut [f32]) + Sync> Computed<F> {
    /// `fill` must always give the same values for a row.
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
