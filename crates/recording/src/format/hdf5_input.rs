//! Reading whole datasets of an HDF5 file, with errors that name file and dataset.

use super::annotations::Source;
use crate::{Error, Result};
use brainprior_artifact::FileError;
use hdf5::types::{FixedAscii, FixedUnicode, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, H5Type};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Longest fixed-length string that is read, in bytes.
const LONGEST: usize = 256;

/// Kinds of numbers.
pub(crate) enum Number {
    /// Unsigned, of 8 bits.
    Byte,
    /// Whole, of another width.
    Whole,
    /// Floating-point.
    Float,
}

/// An HDF5 file opened for reading.
pub(crate) struct Input {
    path: PathBuf,
    file: hdf5::File,
}

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let advice = "if it was copied, compare its size with the original: it may be cut off";
        let file = hdf5::File::open(path).map_err(|source| failed(path, "/", "open", source, advice))?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.dataset(name).is_ok()
    }

    /// A dataset of `shape.len()` dimensions, of which those given must match.
    pub(crate) fn dataset(&self, name: &str, shape: &[Option<usize>]) -> Result<Dataset> {
        let expected = format!("a dataset of shape {}", describe(shape));
        let Ok(dataset) = self.file.dataset(name) else {
            return Err(self.layout(name, expected, "none".into(), "list the datasets of the file with `h5ls -r`"));
        };
        let found = dataset.shape();
        if found.len() != shape.len()
            || found.iter().zip(shape).any(|(size, wanted)| wanted.is_some_and(|wanted| wanted != *size))
        {
            let found = describe(&found.into_iter().map(Some).collect::<Vec<_>>());
            return Err(self.layout(name, expected, format!("shape {found}"), "reshape it when the file is made"));
        }
        Ok(dataset)
    }

    /// All values of a dataset, converted by HDF5 where its type is another.
    pub(crate) fn values<T: H5Type>(&self, name: &str, dataset: &Dataset) -> Result<Vec<T>> {
        dataset.read_raw().map_err(|source| self.failed(name, source))
    }

    /// A matrix of numbers, whatever their width.
    pub(crate) fn matrix(&self, name: &str, columns: Option<usize>) -> Result<Array2<f32>> {
        let dataset = self.dataset(name, &[None, columns])?;
        self.number(name, &dataset)?;
        dataset.read_2d().map_err(|source| self.failed(name, source))
    }

    /// A vector of whole numbers.
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<i64>> {
        let dataset = self.dataset(name, &[None])?;
        self.number(name, &dataset)?;
        self.values(name, &dataset)
    }

    /// A vector of strings, of fixed or variable length, NUL padding and blanks at the end removed; whole numbers are
    /// written out.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>> {
        let dataset = self.dataset(name, &[None])?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').trim_end().to_owned();
        let strings = match self.type_of(name, &dataset)? {
            TypeDescriptor::FixedAscii(length) if length <= LONGEST => {
                self.values::<FixedAscii<LONGEST>>(name, &dataset)?.iter().map(|value| text(value.as_bytes())).collect()
            }
            TypeDescriptor::FixedUnicode(length) if length <= LONGEST => {
                self.values::<FixedUnicode<LONGEST>>(name, &dataset)?.iter().map(|value| text(value.as_bytes())).collect()
            }
            TypeDescriptor::VarLenAscii => {
                self.values::<VarLenAscii>(name, &dataset)?.iter().map(|value| text(value.as_bytes())).collect()
            }
            TypeDescriptor::VarLenUnicode => {
                self.values::<VarLenUnicode>(name, &dataset)?.iter().map(|value| text(value.as_bytes())).collect()
            }
            TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) => {
                self.values::<i64>(name, &dataset)?.iter().map(i64::to_string).collect()
            }
            other => {
                let expected = format!("strings of at most {LONGEST} bytes");
                return Err(self.layout(name, expected, other.to_string(), "store them as byte strings"));
            }
        };
        Ok(strings)
    }

    /// The kind of numbers in a dataset; anything else is an error.
    pub(crate) fn number(&self, name: &str, dataset: &Dataset) -> Result<Number> {
        match self.type_of(name, dataset)? {
            TypeDescriptor::Float(_) => Ok(Number::Float),
            TypeDescriptor::Unsigned(IntSize::U1) => Ok(Number::Byte),
            TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) => Ok(Number::Whole),
            other => Err(self.layout(name, "numbers".into(), other.to_string(), "store them as integers or floats")),
        }
    }

    /// A string attribute of the file.
    pub(crate) fn text_attribute(&self, name: &str) -> Result<String> {
        let attribute = self.file.attr(name).map_err(|source| self.failed(name, source))?;
        let value: VarLenUnicode = attribute.read_scalar().map_err(|source| self.failed(name, source))?;
        Ok(value.as_str().to_owned())
    }

    /// An integer attribute of the file.
    pub(crate) fn integer_attribute(&self, name: &str) -> Result<i64> {
        let attribute = self.file.attr(name).map_err(|source| self.failed(name, source))?;
        attribute.read_scalar().map_err(|source| self.failed(name, source))
    }

    pub(crate) fn layout(&self, dataset: &str, expected: String, found: String, advice: &'static str) -> Error {
        FileError::mismatch(&self.path, dataset, expected, found, advice).into()
    }

    fn type_of(&self, name: &str, dataset: &Dataset) -> Result<TypeDescriptor> {
        dataset.dtype().and_then(|dtype| dtype.to_descriptor()).map_err(|source| self.failed(name, source))
    }

    fn failed(&self, name: &str, source: hdf5::Error) -> Error {
        failed(&self.path, name, "read", source, "the file may be damaged, or of a kind that is not supported")
    }
}

impl Source for Input {
    fn path(&self) -> &Path {
        &self.path
    }

    fn of_rows(name: &str) -> String {
        format!("item_info/{name}")
    }

    fn of_neurons(name: &str) -> String {
        format!("neurons/{name}")
    }

    fn has(&self, name: &str) -> bool {
        Input::has(self, name)
    }

    fn strings(&mut self, name: &str) -> Result<Vec<String>> {
        Input::strings(self, name)
    }

    fn integers(&mut self, name: &str) -> Result<Vec<i64>> {
        Input::integers(self, name)
    }

    fn matrix(&mut self, name: &str, columns: usize) -> Result<Array2<f32>> {
        Input::matrix(self, name, Some(columns))
    }
}

pub(crate) fn failed(path: &Path, dataset: &str, doing: &'static str, source: hdf5::Error, advice: &'static str) -> Error {
    FileError::refused(path, doing)(source).in_dataset(dataset).advise(advice).into()
}

fn describe(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape.iter().map(|size| size.map_or("*".to_owned(), |size| size.to_string())).collect();
    format!("({})", sizes.join(", "))
}
