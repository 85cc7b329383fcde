//! Numeric arrays, unpacked and never clipped or truncated.

use super::Input;
use super::packing::Packing;
use crate::{FileError, Result};
use hdf5::types::{IntSize, TypeDescriptor};
use hdf5::{Dataset, H5Type};
use std::ops::Range;
use std::path::PathBuf;

/// Integers up to this are exact in f64.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The kind of numbers in a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 8-bit unsigned integers.
    Byte,
    /// Integers of another width.
    Whole,
    /// Floating-point or packed numbers.
    Float,
}

/// A numeric dataset whose data have been checked to be present.
#[derive(Clone, Debug)]
pub struct Numbers {
    path: PathBuf,
    name: String,
    dataset: Dataset,
    stored: TypeDescriptor,
    packing: Option<Packing>,
}

impl Input {
    /// Opens a numeric dataset with `shape.len()` dimensions; the sizes that are `Some` must match.
    ///
    /// # Errors
    /// Returns [`FileError`] if the dataset is missing, has another shape or is not numeric, if a
    /// filter is not available, or if data are missing (an external file is gone, or they were
    /// never written).
    pub fn numbers(&self, name: &str, shape: &[Option<usize>]) -> Result<Numbers> {
        let dataset = self.dataset(name, shape)?;
        let stored = self.descriptor(name, &dataset)?;
        let bits = match &stored {
            TypeDescriptor::Float(_) => None,
            TypeDescriptor::Integer(size) | TypeDescriptor::Unsigned(size) => {
                Some(*size as usize * 8)
            }
            other => {
                return Err(self.mismatch(
                    name,
                    "numbers",
                    other.to_string(),
                    "store them as integers or floats",
                ));
            }
        };
        let packing = Packing::of(self, name, &dataset, bits)?;
        Ok(Numbers { path: self.path.clone(), name: name.to_owned(), dataset, stored, packing })
    }
}

impl Numbers {
    /// Size of each dimension.
    pub fn shape(&self) -> Vec<usize> {
        self.dataset.shape()
    }

    /// The kind of numbers.
    pub fn kind(&self) -> Kind {
        match self.stored {
            _ if self.packing.is_some() => Kind::Float,
            TypeDescriptor::Unsigned(IntSize::U1) => Kind::Byte,
            TypeDescriptor::Float(_) => Kind::Float,
            _ => Kind::Whole,
        }
    }

    /// Whether the numbers are stored as half-precision floats.
    pub fn are_halves(&self) -> bool {
        self.packing.is_none() && self.stored == TypeDescriptor::Float(hdf5::types::FloatSize::U2)
    }

    /// All values in C order as the type `T`, which must be able to represent the stored type.
    ///
    /// # Errors
    /// Returns [`FileError`] if HDF5 fails.
    pub fn stored<T: H5Type>(&self) -> Result<Vec<T>> {
        self.dataset.read_raw().map_err(|cause| self.refused(&cause))
    }

    /// All values as f32; a missing value is NaN.
    ///
    /// # Errors
    /// Returns [`FileError`] if HDF5 fails.
    pub fn floats(&self) -> Result<Vec<f32>> {
        match &self.packing {
            None => self.stored(),
            Some(packing) => {
                Ok(self.stored()?.into_iter().map(|value| packing.unpack(value) as f32).collect())
            }
        }
    }

    /// All values; a missing value is NaN.
    ///
    /// # Errors
    /// Returns [`FileError`] if HDF5 fails.
    pub fn doubles(&self) -> Result<Vec<f64>> {
        match &self.packing {
            None => self.stored(),
            Some(packing) => {
                Ok(self.stored()?.into_iter().map(|value| packing.unpack(value)).collect())
            }
        }
    }

    /// Rows of a matrix as f32, one after the other.
    ///
    /// # Errors
    /// Returns [`FileError`] if HDF5 fails.
    pub fn rows(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        let refused = |cause: hdf5::Error| self.refused(&cause);
        match &self.packing {
            None => Ok(self
                .dataset
                .read_slice_2d::<f32, _>((rows, ..))
                .map_err(refused)?
                .into_raw_vec_and_offset()
                .0),
            Some(packing) => {
                let stored = self.dataset.read_slice_2d::<f64, _>((rows, ..)).map_err(refused)?;
                Ok(stored.into_iter().map(|value| packing.unpack(value) as f32).collect())
            }
        }
    }

    /// Rows of a matrix, one after the other.
    ///
    /// # Errors
    /// Returns [`FileError`] if HDF5 fails.
    pub fn rows_of_doubles(&self, rows: Range<usize>) -> Result<Vec<f64>> {
        let mut stored = self
            .dataset
            .read_slice_2d::<f64, _>((rows, ..))
            .map_err(|cause| self.refused(&cause))?;
        if let Some(packing) = &self.packing {
            stored.mapv_inplace(|value| packing.unpack(value));
        }
        Ok(stored.into_iter().collect())
    }

    /// Integers, including those stored as floats.
    ///
    /// # Errors
    /// Returns [`FileError`] if a value is a fraction, missing, or does not fit into an i64.
    pub fn integers(&self) -> Result<Vec<i64>> {
        match (&self.packing, &self.stored) {
            (None, TypeDescriptor::Integer(_)) => self.stored(),
            (None, TypeDescriptor::Unsigned(_)) => {
                let fits = |(row, value): (usize, u64)| {
                    i64::try_from(value)
                        .map_err(|_| self.unfit(row, value, "whole numbers below 2^63"))
                };
                self.stored()?.into_iter().enumerate().map(fits).collect()
            }
            _ => self.whole(|value| value as i64),
        }
    }

    /// Non-negative integers, including those stored as floats.
    ///
    /// # Errors
    /// Returns [`FileError`] if a value is a fraction, missing or negative.
    pub fn naturals(&self) -> Result<Vec<u64>> {
        match (&self.packing, &self.stored) {
            (None, TypeDescriptor::Unsigned(_)) => self.stored(),
            _ => {
                let natural = |(row, value): (usize, i64)| {
                    u64::try_from(value)
                        .map_err(|_| self.unfit(row, value, "numbers of at least 0"))
                };
                self.integers()?.into_iter().enumerate().map(natural).collect()
            }
        }
    }

    /// Integers of any size as decimal strings.
    pub(super) fn written_out(&self) -> Result<Vec<String>> {
        match (&self.packing, &self.stored) {
            (None, TypeDescriptor::Unsigned(_)) => {
                Ok(self.stored::<u64>()?.iter().map(u64::to_string).collect())
            }
            _ => Ok(self.integers()?.iter().map(i64::to_string).collect()),
        }
    }

    fn whole<T>(&self, convert: impl Fn(f64) -> T) -> Result<Vec<T>> {
        let check = |(row, value): (usize, f64)| match value.fract() == 0.0 && value.abs() <= EXACT
        {
            true => Ok(convert(value)),
            false => Err(self.unfit(row, value, "whole numbers")),
        };
        self.doubles()?.into_iter().enumerate().map(check).collect()
    }

    fn unfit(&self, row: usize, found: impl std::fmt::Display, expected: &str) -> FileError {
        let found = format!("{found} in row {row}");
        FileError::mismatch(
            &self.path,
            &self.name,
            expected,
            found,
            "renumber them when you write the file, or leave them out",
        )
    }

    fn refused(&self, cause: &hdf5::Error) -> FileError {
        super::refusal::of_reading(&self.path, &self.name, cause)
    }
}
