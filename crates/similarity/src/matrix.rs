//! The similarity matrix.

use crate::{Error, Result};
use brainprior_images::ImageId;
use ndarray::Array2;
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;

/// How much the cosine of two equal f32 vectors may exceed 1: 84 units in the last place.
const ROUNDING: f32 = 1e-5;

/// Similarities of all pairs of distinct images, in [-1, 1].
///
/// Only the strict upper triangle is stored, row by row (the order of
/// `scipy.spatial.distance.squareform`), so a matrix cannot be asymmetric; the diagonal is 1 by
/// definition.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarityMatrix {
    ids: Vec<ImageId>,
    packed: Vec<f32>,
    provenance: Vec<String>,
    donors: Option<Vec<ImageId>>,
    scans: Vec<u32>,
}

impl SimilarityMatrix {
    /// Creates a matrix from the strict upper triangle of `ids.len()` images; `provenance` lists
    /// the steps of its computation.
    ///
    /// # Errors
    /// Returns an error if there are fewer than two images, an image is given twice, the length is
    /// not `n (n - 1) / 2`, or a value lies outside [-1, 1] by more than rounding (within rounding,
    /// it is clamped).
    pub fn new(ids: Vec<ImageId>, mut packed: Vec<f32>, provenance: Vec<String>) -> Result<Self> {
        positions(&ids)?;
        if packed.len() != pairs(ids.len()) {
            return Err(Error::Size {
                what: "strict upper triangle",
                expected: format!("{} pairs of {} images", pairs(ids.len()), ids.len()),
                found: packed.len().to_string(),
            });
        }
        let outside = |value: &f32| !(-1.0..=1.0).contains(value);
        let first_outside = |packed: &[f32]| {
            // The count is branchless, so the values are read at memory speed.
            let part = packed
                .par_chunks(1 << 14)
                .position_first(|part| part.iter().filter(|value| outside(value)).count() > 0);
            part.map(|part| part << 14)
                .and_then(|start| Some(start + packed[start..].iter().position(outside)?))
        };
        if let Some(first) = first_outside(&packed) {
            let rounded =
                packed[first..].par_iter_mut().filter(|value| value.abs() <= 1.0 + ROUNDING);
            rounded.for_each(|value| *value = value.clamp(-1.0, 1.0));
        }
        let first = first_outside(&packed);
        if let Some(index) = first {
            let (first, second) = pair_at(ids.len(), index);
            return Err(Error::Similarity { first, second, found: packed[index] });
        }
        let scans = vec![1; ids.len()];
        Ok(Self { ids, packed, provenance, donors: None, scans })
    }

    /// Creates a matrix from clamped similarities of distinct images.
    pub(crate) fn of_cosines(ids: Vec<ImageId>, packed: Vec<f32>, provenance: Vec<String>) -> Self {
        debug_assert_eq!(packed.len(), pairs(ids.len()));
        let scans = vec![1; ids.len()];
        Self { ids, packed, provenance, donors: None, scans }
    }

    /// Records that image `i` has the similarities of `donors[i]`.
    pub(crate) fn with_donors(mut self, donors: Option<Vec<ImageId>>) -> Self {
        debug_assert!(donors.as_ref().is_none_or(|donors| donors.len() == self.ids.len()));
        self.donors = donors;
        self
    }

    /// Records that image `i` comes from `scans[i]` scans.
    pub(crate) fn with_scans(mut self, scans: Vec<u32>) -> Self {
        debug_assert_eq!(scans.len(), self.ids.len());
        self.scans = scans;
        self
    }

    /// Adds a step to the provenance.
    pub fn with_provenance(mut self, step: impl Into<String>) -> Self {
        self.provenance.push(step.into());
        self
    }

    /// Number of images, at least 2.
    #[expect(clippy::len_without_is_empty, reason = "a matrix is never empty")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Number of pairs, `n (n - 1) / 2`.
    pub fn pairs(&self) -> usize {
        self.packed.len()
    }

    /// Identity of each image, in order.
    pub fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    /// The strict upper triangle: (0,1), (0,2), ..., (1,2), ...
    pub fn packed(&self) -> &[f32] {
        &self.packed
    }

    /// The steps of the matrix's computation.
    pub fn provenance(&self) -> &[String] {
        &self.provenance
    }

    /// After a shuffle, the image whose similarities each image has; `None` if each has its own.
    pub fn donors(&self) -> Option<&[ImageId]> {
        self.donors.as_deref()
    }

    /// Number of scans over which the similarities of each image were averaged; 1 before any
    /// averaging.
    pub fn scans(&self) -> &[u32] {
        &self.scans
    }

    /// Similarity of images `i` and `j`.
    ///
    /// # Panics
    /// Panics if an index is out of range.
    pub fn get(&self, i: usize, j: usize) -> f32 {
        let n = self.len();
        assert!(i < n && j < n, "pair ({i}, {j}) of {n} images");
        if i == j { 1.0 } else { self.packed[row_start(n, i.min(j)) + i.max(j) - i.min(j) - 1] }
    }

    /// Similarities of image `i` with every image, including itself.
    ///
    /// # Panics
    /// Panics if the index is out of range.
    pub fn row(&self, i: usize) -> Vec<f32> {
        (0..self.len()).map(|j| self.get(i, j)).collect()
    }

    /// The part of row `i` right of the diagonal: similarities with images `i + 1, i + 2, ...`.
    ///
    /// # Panics
    /// Panics if the index is out of range.
    pub fn upper_row(&self, i: usize) -> &[f32] {
        let start = row_start(self.len(), i);
        &self.packed[start..start + self.len() - 1 - i]
    }

    /// Similarities between two ranges of images, `[rows, columns]`.
    ///
    /// # Panics
    /// Panics if an index is out of range.
    pub fn block(&self, rows: Range<usize>, columns: Range<usize>) -> Array2<f32> {
        Array2::from_shape_fn((rows.len(), columns.len()), |(i, j)| {
            self.get(rows.start + i, columns.start + j)
        })
    }

    /// The matrix of `ids` (at least two, distinct), in that order.
    ///
    /// # Errors
    /// Returns an error if an image is missing or given twice.
    pub fn select(&self, ids: &[ImageId]) -> Result<Self> {
        if ids == self.ids {
            return Ok(self.clone());
        }
        let own = positions(&self.ids)?;
        positions(ids)?;
        let indices = ids
            .iter()
            .map(|id| {
                own.get(id).copied().ok_or(Error::MissingImage {
                    id: *id,
                    images: self.len(),
                    matrix: "this matrix",
                })
            })
            .collect::<Result<Vec<usize>>>()?;
        let donors =
            self.donors.as_ref().map(|donors| indices.iter().map(|index| donors[*index]).collect());
        let scans = indices.iter().map(|index| self.scans[*index]).collect();
        let packed = self.gathered(&indices);
        Ok(Self { ids: ids.to_vec(), packed, provenance: self.provenance.clone(), donors, scans })
    }

    /// The strict upper triangle of the images at `indices`.
    pub(crate) fn gathered(&self, indices: &[usize]) -> Vec<f32> {
        let mut packed = vec![0.0; pairs(indices.len())];
        rows_mut(indices.len(), &mut packed).into_par_iter().enumerate().for_each(|(i, row)| {
            for (value, j) in row.iter_mut().zip(&indices[i + 1..]) {
                *value = self.get(indices[i], *j);
            }
        });
        packed
    }
}

/// The index of each image.
pub(crate) fn positions(ids: &[ImageId]) -> Result<HashMap<ImageId, usize>> {
    if ids.len() < 2 {
        return Err(Error::Size {
            what: "images of a similarity matrix",
            expected: "at least 2".into(),
            found: ids.len().to_string(),
        });
    }
    let mut positions = HashMap::with_capacity(ids.len());
    for (second, id) in ids.iter().enumerate() {
        if let Some(first) = positions.insert(*id, second) {
            return Err(Error::Duplicate { first, second, id: *id });
        }
    }
    Ok(positions)
}

/// Number of pairs of `images` distinct images.
pub(crate) fn pairs(images: usize) -> usize {
    images * images.saturating_sub(1) / 2
}

/// Index at which row `i` of the strict upper triangle starts.
pub(crate) fn row_start(images: usize, i: usize) -> usize {
    i * (2 * images - i - 1) / 2
}

/// The rows of a strict upper triangle; the last one is empty.
pub(crate) fn rows_mut(images: usize, mut packed: &mut [f32]) -> Vec<&mut [f32]> {
    let mut rows = Vec::with_capacity(images);
    for i in 0..images {
        let (row, rest) = packed.split_at_mut(images - 1 - i);
        rows.push(row);
        packed = rest;
    }
    rows
}

/// The pair at an index of the strict upper triangle.
pub(crate) fn pair_at(images: usize, index: usize) -> (usize, usize) {
    // The last row that starts at or before `index`; the row of the last image is empty.
    let (mut first, mut beyond) = (0, images - 1);
    while beyond - first > 1 {
        let middle = first.midpoint(beyond);
        if row_start(images, middle) <= index { first = middle } else { beyond = middle }
    }
    (first, first + 1 + index - row_start(images, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u64) -> Vec<ImageId> {
        (0..count).map(ImageId::from_u64).collect()
    }

    #[test]
    fn views_agree() {
        let matrix =
            SimilarityMatrix::new(ids(4), vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6], vec![]).unwrap();
        assert_eq!(matrix.row(1), vec![0.1, 1.0, 0.4, 0.5]);
        assert_eq!(matrix.row(3), vec![0.3, 0.5, 0.6, 1.0]);
        assert_eq!(matrix.upper_row(1), &[0.4, 0.5]);
        assert_eq!(matrix.upper_row(3), &[] as &[f32]);
        assert_eq!(matrix.get(2, 1), matrix.get(1, 2));
        assert_eq!(matrix.block(1..3, 0..2), ndarray::array![[0.1, 1.0], [0.2, 0.4]]);
        let selected = matrix.select(&[3, 0, 2].map(ImageId::from_u64)).unwrap();
        assert_eq!(selected.packed(), &[0.3, 0.6, 0.2]);
    }

    #[test]
    fn a_similarity_beyond_one_by_rounding_is_one() {
        let matrix =
            SimilarityMatrix::new(ids(3), vec![1.000_000_2, 0.5, -1.000_000_1], vec![]).unwrap();
        assert_eq!(matrix.packed(), &[1.0, 0.5, -1.0]);
    }

    #[test]
    fn every_index_has_its_pair() {
        for n in 2..9 {
            let mut index = 0;
            for i in 0..n {
                for j in i + 1..n {
                    assert_eq!(pair_at(n, index), (i, j));
                    index += 1;
                }
            }
        }
    }

    #[test]
    fn bad_matrices_are_refused_by_name() {
        let error =
            SimilarityMatrix::new(ids(3), vec![0.0, 0.5, 1.5], vec![]).unwrap_err().to_string();
        assert!(error.contains("images 1 and 2") && error.contains("1.5"), "{error}");
        assert!(SimilarityMatrix::new(ids(3), vec![0.0, f32::NAN, 0.5], vec![]).is_err());
        assert!(SimilarityMatrix::new(ids(3), vec![1.000_000_2, 0.5, 1.001], vec![]).is_err());
        assert!(SimilarityMatrix::new(ids(3), vec![0.0; 2], vec![]).is_err());
        assert!(SimilarityMatrix::new(ids(1), vec![], vec![]).is_err());
        let twice = [1, 2, 1].map(ImageId::from_u64).to_vec();
        assert!(matches!(
            SimilarityMatrix::new(twice, vec![0.0; 3], vec![]),
            Err(Error::Duplicate { first: 0, second: 2, .. })
        ));
        let matrix = SimilarityMatrix::new(ids(3), vec![0.0; 3], vec![]).unwrap();
        assert!(matches!(
            matrix.select(&[0, 7].map(ImageId::from_u64)),
            Err(Error::MissingImage { .. })
        ));
    }
}
