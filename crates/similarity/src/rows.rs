//! Where the vectors of images come from: memory, or a formula.

use crate::Result;
use ndarray::ArrayView2;
use std::borrow::Cow;
use std::ops::Range;

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
