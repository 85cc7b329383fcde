//! Arrays of numbers, as what they stand for: unpacked, and never clipped or cut.

use super::Input;
use super::packing::Packing;
use crate::{FileError, Result};
use hdf5::types::{IntSize, TypeDescriptor};
use hdf5::{Dataset, H5Type};
use std::ops::Range;
use std::path::PathBuf;

/// Whole numbers up to here are exact in f64.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Kinds of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned, of 8 bits.
    Byte,
    /// Whole, of another width.
    Whole,
    /// Floating-point, or packed.
    Float,
}

/// A dataset of numbers whose data are in reach.
#[derive(Clone, Debug)]
pub struct Numbers {
    path: PathBuf,
    name: String,
    dataset: Dataset,
    stored: TypeDescriptor,
    packing: Option<Packing>,
}

impl Input {
    /// A dataset of numbers with `shape.len()` dimensions, of which those given must match.
    ///
    /// # Errors
    /// No such dataset, another shape, no numbers, a filter that is missing, data that lie in a file that is gone or were never
    /// written.
    pub fn numbers(&self, name: &str, shape: &[Option<usize>]) -> Result<Numbers> {
        let dataset = self.dataset(name, shape)?;
        let stored = self.descriptor(name, &dataset)?;
        let bits = match &stored {
            TypeDescriptor::Float(_) => None,
            TypeDescriptor::Integer(size) | TypeDescriptor::Unsigned(size) => Some(*size as usize * 8),
            other => return Err(self.mismatch(name, "numbers", other.to_string(), "store them as integers or floats")),
        };
        let packing = Packing::of(self, name, &dataset, bits)?;
        Ok(Numbers { path: self.path.clone(), name: name.to_owned(), dataset, stored, packing })
    }
}

impl Numbers {
    /// Sizes of the dimensions.
    pub fn shape(&self) -> Vec<usize> {
        self.dataset.shape()
    }

    /// What kind of numbers they are.
    pub fn kind(&self) -> Kind {
        match self.stored {
            _ if self.packing.is_some() => Kind::Float,
            TypeDescriptor::Unsigned(IntSize::U1) => Kind::Byte,
            TypeDescriptor::Float(_) => Kind::Float,
            _ => Kind::Whole,
        }
    }

    /// Whether each is stored in two bytes as a float.
    pub fn are_halves(&self) -> bool {
        self.packing.is_none() && self.stored == TypeDescriptor::Float(hdf5::types::FloatSize::U2)
    }

    /// All values in their order, as the type that is asked for, which must be able to hold what is stored.
    ///
    /// # Errors
    /// Whatever HDF5 refuses.
    pub fn stored<T: H5Type>(&self) -> Result<Vec<T>> {
        self.dataset.read_raw().map_err(|cause| self.refused(&cause))
    }

    /// All values, rounded to f32; not a number where one is missing.
    ///
    /// # Errors
    /// Whatever HDF5 refuses.
    pub fn floats(&self) -> Result<Vec<f32>> {
        match &self.packing {
            None => self.stored(),
            Some(packing) => Ok(self.stored()?.into_iter().map(|value| packing.unpack(value) as f32).collect()),
        }
    }

    /// All values; not a number where one is missing.
    ///
    /// # Errors
    /// Whatever HDF5 refuses.
    pub fn doubles(&self) -> Result<Vec<f64>> {
        match &self.packing {
            None => self.stored(),
            Some(packing) => Ok(self.stored()?.into_iter().map(|value| packing.unpack(value)).collect()),
        }
    }

    /// Some rows of a matrix, one after the other, rounded to f32.
    ///
    /// # Errors
    /// Whatever HDF5 refuses.
    pub fn rows(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        let refused = |cause: hdf5::Error| self.refused(&cause);
        match &self.packing {
            None => Ok(self.dataset.read_slice_2d::<f32, _>((rows, ..)).map_err(refused)?.into_raw_vec_and_offset().0),
            Some(packing) => {
                let stored = self.dataset.read_slice_2d::<f64, _>((rows, ..)).map_err(refused)?;
                Ok(stored.into_iter().map(|value| packing.unpack(value) as f32).collect())
            }
        }
    }

    /// Some rows of a matrix, one after the other.
    ///
    /// # Errors
    /// Whatever HDF5 refuses.
    pub fn rows_of_doubles(&self, rows: Range<usize>) -> Result<Vec<f64>> {
        let mut stored = self.dataset.read_slice_2d::<f64, _>((rows, ..)).map_err(|cause| self.refused(&cause))?;
        if let Some(packing) = &self.packing {
            stored.mapv_inplace(|value| packing.unpack(value));
        }
        Ok(stored.into_iter().collect())
    }

    /// Whole numbers, also those that are stored as floats.
    ///
    /// # Errors
    /// A fraction, a missing value, a number that takes more than 63 bits and a sign.
    pub fn integers(&self) -> Result<Vec<i64>> {
        match (&self.packing, &self.stored) {
            (None, TypeDescriptor::Integer(_)) => self.stored(),
            (None, TypeDescriptor::Unsigned(_)) => {
                let fits = |(row, value): (usize, u64)| {
                    i64::try_from(value).map_err(|_| self.unfit(row, value, "whole numbers below 2^63"))
                };
                self.stored()?.into_iter().enumerate().map(fits).collect()
            }
            _ => self.whole(|value| value as i64),
        }
    }

    /// Whole numbers from 0, also those that are stored as floats.
    ///
    /// # Errors
    /// A fraction, a missing value, a negative number.
    pub fn naturals(&self) -> Result<Vec<u64>> {
        match (&self.packing, &self.stored) {
            (None, TypeDescriptor::Unsigned(_)) => self.stored(),
            _ => {
                let natural =
                    |(row, value): (usize, i64)| u64::try_from(value).map_err(|_| self.unfit(row, value, "numbers from 0"));
                self.integers()?.into_iter().enumerate().map(natural).collect()
            }
        }
    }

    /// Whole numbers in decimal digits, whatever their size.
    pub(super) fn written_out(&self) -> Result<Vec<String>> {
        match (&self.packing, &self.stored) {
            (None, TypeDescriptor::Unsigned(_)) => Ok(self.stored::<u64>()?.iter().map(u64::to_string).collect()),
            _ => Ok(self.integers()?.iter().map(i64::to_string).collect()),
        }
    }

    fn whole<T>(&self, convert: impl Fn(f64) -> T) -> Result<Vec<T>> {
        let check = |(row, value): (usize, f64)| match value.fract() == 0.0 && value.abs() <= EXACT {
            true => Ok(convert(value)),
            false => Err(self.unfit(row, value, "whole numbers")),
        };
        self.doubles()?.into_iter().enumerate().map(check).collect()
    }

    fn unfit(&self, row: usize, found: impl std::fmt::Display, expected: &str) -> FileError {
        let found = format!("{found} in row {row}");
        FileError::mismatch(&self.path, &self.name, expected, found, "number them anew when the file is made, or leave them out")
    }

    fn refused(&self, cause: &hdf5::Error) -> FileError {
        super::refusal::of_reading(&self.path, &self.name, cause)
    }
}
