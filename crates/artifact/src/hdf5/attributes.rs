//! Attributes: one string or one number, stored as a scalar or as an array of size one.

use super::Input;
use super::strings::text;
use crate::Result;
use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Attribute, Container, Location};

/// Longest fixed-length string, in bytes.
const LONGEST: usize = 1024;

impl Input {
    /// A string attribute of the file.
    ///
    /// # Errors
    /// Returns [`FileError`](crate::FileError) if there is no such attribute or it is not a string.
    pub fn text_attribute(&self, name: &str) -> Result<String> {
        self.text_of(&self.file, &format!("attribute {name}"), name)
    }

    /// An integer attribute of the file.
    ///
    /// # Errors
    /// Returns [`FileError`](crate::FileError) if there is no such attribute or it is not an
    /// integer.
    pub fn integer_attribute(&self, name: &str) -> Result<i64> {
        let shown = format!("attribute {name}");
        let attribute = self.one_of(&self.file, &shown, name)?;
        let number = match self.descriptor(&shown, &attribute)? {
            TypeDescriptor::Integer(_) => attribute
                .read_raw::<i64>()
                .map_err(|cause| self.refused(&shown, &cause))?
                .first()
                .copied(),
            _ => Some(self.number_of(&self.file, &shown, name)?)
                .filter(|value| value.fract() == 0.0)
                .map(|value| value as i64),
        };
        number.ok_or_else(|| {
            self.mismatch(&shown, "a whole number", "another number", "write the file again")
        })
    }

    /// The numbers in an attribute of a dataset; `None` if there is no such dataset or attribute.
    ///
    /// # Errors
    /// Returns [`FileError`](crate::FileError) if the attribute does not hold numbers.
    pub fn numbers_attribute(&self, dataset: &str, name: &str) -> Result<Option<Vec<f64>>> {
        let Some(found) = self.find(dataset)? else { return Ok(None) };
        let names = found.attr_names().map_err(|cause| self.refused(dataset, &cause))?;
        if !names.iter().any(|known| known == name) {
            return Ok(None);
        }
        let shown = format!("{dataset}, attribute {name}");
        let attribute = found.attr(name).map_err(|cause| self.refused(&shown, &cause))?;
        match self.descriptor(&shown, &attribute)? {
            TypeDescriptor::Float(_) | TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) => {
                attribute.read_raw().map(Some).map_err(|cause| self.refused(&shown, &cause))
            }
            other => Err(self.mismatch(
                &shown,
                "numbers",
                other.to_string(),
                "store it as numbers, or remove it",
            )),
        }
    }

    pub(super) fn text_of(&self, owner: &Location, shown: &str, name: &str) -> Result<String> {
        let attribute = self.one_of(owner, shown, name)?;
        let refused = |cause: hdf5::Error| self.refused(shown, &cause);
        let value = match self.descriptor(shown, &attribute)? {
            TypeDescriptor::FixedAscii(length) if length <= LONGEST => attribute
                .read_raw::<FixedAscii<LONGEST>>()
                .map_err(refused)?
                .first()
                .map(|value| text(value.as_bytes())),
            TypeDescriptor::FixedUnicode(length) if length <= LONGEST => attribute
                .read_raw::<FixedUnicode<LONGEST>>()
                .map_err(refused)?
                .first()
                .map(|value| text(value.as_bytes())),
            TypeDescriptor::VarLenAscii => attribute
                .read_raw::<VarLenAscii>()
                .map_err(refused)?
                .first()
                .map(|value| text(value.as_bytes())),
            TypeDescriptor::VarLenUnicode => attribute
                .read_raw::<VarLenUnicode>()
                .map_err(refused)?
                .first()
                .map(|value| text(value.as_bytes())),
            other => {
                return Err(self.mismatch(
                    shown,
                    "a text",
                    other.to_string(),
                    "write the file again",
                ));
            }
        };
        Ok(value.unwrap_or_default())
    }

    pub(super) fn number_of(&self, owner: &Location, shown: &str, name: &str) -> Result<f64> {
        let attribute = self.one_of(owner, shown, name)?;
        match self.descriptor(shown, &attribute)? {
            TypeDescriptor::Float(_) | TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) => {
                let values: Vec<f64> =
                    attribute.read_raw().map_err(|cause| self.refused(shown, &cause))?;
                Ok(values[0])
            }
            other => {
                Err(self.mismatch(shown, "a number", other.to_string(), "store it as a number"))
            }
        }
    }

    fn one_of(&self, owner: &Location, shown: &str, name: &str) -> Result<Attribute> {
        let names = owner.attr_names().map_err(|cause| self.refused(shown, &cause))?;
        if !names.iter().any(|known| known == name) {
            return Err(self.mismatch(
                shown,
                "this attribute",
                "none",
                "`cargo xtask inspect` says what kind of file this is",
            ));
        }
        let attribute = owner.attr(name).map_err(|cause| self.refused(shown, &cause))?;
        let space = attribute.space().map_err(|cause| self.refused(shown, &cause))?;
        match space.size() {
            1 => Ok(attribute),
            size => {
                Err(self.mismatch(shown, "one value", format!("{size}"), "write the file again"))
            }
        }
    }

    pub(super) fn descriptor(&self, shown: &str, container: &Container) -> Result<TypeDescriptor> {
        let dtype = container.dtype().map_err(|cause| self.refused(shown, &cause))?;
        dtype.to_descriptor().map_err(|_| {
            let found = format!("an unsupported type of {} bytes", dtype.size());
            self.mismatch(
                shown,
                "numbers or text",
                found,
                "store it as integers, floats or strings",
            )
        })
    }
}
