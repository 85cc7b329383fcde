//! How much memory a dataset would take, before it takes it: a few bytes can say that there are many numbers, by chunks that are all alike, by
//! parts of a virtual dataset that are one and the same, or by texts that are.
#![allow(unsafe_code)]

use super::{Input, sources};
use crate::{FileError, Result, unpacked};
use hdf5::Dataset;
use hdf5_sys::h5d::H5Dvlen_get_buf_size;
use std::path::Path;

impl Input {
    /// That there is an array, and that it is no larger than what a file of this size may unpack to, along its axes, too, where it is empty.
    pub(super) fn check_size(&self, name: &str, dataset: &Dataset) -> Result<()> {
        let space = dataset.space().map_err(|cause| self.refused(name, &cause))?;
        if space.is_null() {
            return Err(self.mismatch(
                name,
                "values, or no such name",
                "a dataset without any",
                "write its values, or remove it",
            ));
        }
        let item = dataset.dtype().map_err(|cause| self.refused(name, &cause))?.size();
        let shape = space.shape();
        self.check_bytes(name, unpacked::extent(&shape, item), || format!("shape {shape:?}, of {item} bytes each"))
    }

    /// The same of texts, each of which lies in a place of its own, or in that of another.
    pub(super) fn check_texts(&self, name: &str, dataset: &Dataset) -> Result<()> {
        // One text is no larger than the file, and HDF5 (1.14) has no answer for a dataset without axes.
        if dataset.ndim() == 0 {
            return Ok(());
        }
        let size = size_of_texts(dataset).map_err(|cause| self.refused(name, &cause))?;
        self.check_bytes(name, Some(size), || format!("texts of {size} bytes"))
    }

    fn check_bytes(&self, name: &str, bytes: Option<u64>, found: impl Fn() -> String) -> Result<()> {
        let fits = |length: u64| bytes.is_some_and(|bytes| bytes <= unpacked::most(length));
        let own = length(&self.path)?;
        if fits(own) {
            return Ok(());
        }
        // What lies in other files counts with them.
        let others: u64 = sources(&self.path)?.iter().map(|path| length(path).unwrap_or(0)).sum();
        let all = own.saturating_add(others);
        match fits(all) {
            true => Ok(()),
            false => Err(self.mismatch(name, format!("no more than {}", unpacked::words(all)), found(), unpacked::ADVICE)),
        }
    }
}

fn length(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(FileError::refused(path, "read"))?.len())
}

fn size_of_texts(dataset: &Dataset) -> hdf5::Result<u64> {
    let (dtype, space) = (dataset.dtype()?, dataset.space()?);
    hdf5::sync::sync(|| {
        let mut size = 0;
        // SAFETY: dataset, type and space are open as long as they are borrowed, and the size is written to a number of its type.
        let found = unsafe { H5Dvlen_get_buf_size(dataset.id(), dtype.id(), space.id(), &mut size) };
        if found < 0 { Err(hdf5::Error::query()?) } else { Ok(size) }
    })
}
