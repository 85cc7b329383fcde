//! String vectors.

use super::Input;
use crate::Result;
use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};

/// Longest fixed-length string, in bytes.
const LONGEST: usize = 256;

impl Input {
    /// A vector of labels: strings, or integers of any type as decimal strings.
    ///
    /// # Errors
    /// See [`Input::strings`] and [`super::Numbers::integers`].
    pub fn labels(&self, name: &str) -> Result<Vec<String>> {
        match self.find(name)?.map(|dataset| self.descriptor(name, &dataset)).transpose()? {
            Some(
                TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) | TypeDescriptor::Float(_),
            ) => self.numbers(name, &[None])?.written_out(),
            _ => self.strings(name),
        }
    }

    /// A vector of strings or a single string, of fixed or variable length or as the single
    /// characters of netCDF; trailing NULs and spaces are removed.
    ///
    /// # Errors
    /// Returns [`FileError`](crate::FileError) if the dataset is missing, has another shape or
    /// type, or its data are missing.
    pub fn strings(&self, name: &str) -> Result<Vec<String>> {
        let characters = match self.find(name)? {
            Some(dataset) => {
                dataset.ndim() == 2
                    && self.descriptor(name, &dataset)? == TypeDescriptor::FixedAscii(1)
            }
            None => false,
        };
        let is_single = self.shape(name)?.is_some_and(|shape| shape.is_empty());
        let shape: &[Option<usize>] =
            if characters { &[None, None] } else { &[None][usize::from(is_single)..] };
        let dataset = self.dataset(name, shape)?;
        let refused = |cause: hdf5::Error| self.refused(name, &cause);
        Ok(match self.descriptor(name, &dataset)? {
            TypeDescriptor::FixedAscii(1) if characters => {
                let letters: Vec<FixedAscii<1>> = dataset.read_raw().map_err(refused)?;
                let row = |letters: &[FixedAscii<1>]| {
                    text(
                        &letters
                            .iter()
                            .flat_map(|letter| letter.as_bytes())
                            .copied()
                            .collect::<Vec<_>>(),
                    )
                };
                letters.chunks(dataset.shape()[1].max(1)).map(row).collect()
            }
            TypeDescriptor::FixedAscii(length) if length <= LONGEST => {
                let values: Vec<FixedAscii<LONGEST>> = dataset.read_raw().map_err(refused)?;
                values.iter().map(|value| text(value.as_bytes())).collect()
            }
            TypeDescriptor::FixedUnicode(length) if length <= LONGEST => {
                let values: Vec<FixedUnicode<LONGEST>> = dataset.read_raw().map_err(refused)?;
                values.iter().map(|value| text(value.as_bytes())).collect()
            }
            TypeDescriptor::VarLenAscii => {
                self.check_texts(name, &dataset)?;
                let values: Vec<VarLenAscii> = dataset.read_raw().map_err(refused)?;
                values.iter().map(|value| text(value.as_bytes())).collect()
            }
            TypeDescriptor::VarLenUnicode => {
                self.check_texts(name, &dataset)?;
                let values: Vec<VarLenUnicode> = dataset.read_raw().map_err(refused)?;
                values.iter().map(|value| text(value.as_bytes())).collect()
            }
            other => {
                let expected = format!("strings of at most {LONGEST} bytes");
                let advice = match dataset.attr("MATLAB_class").is_ok() {
                    true => {
                        "MATLAB stores text as numbers: write it as a string array with h5write"
                    }
                    false => "store them as byte strings",
                };
                return Err(self.mismatch(name, expected, other.to_string(), advice));
            }
        })
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').trim_end().to_owned()
}
