//! Bounds the memory of a dataset before it is read. A few bytes can claim many numbers, by
//! identical chunks, repeated parts of a virtual dataset, or repeated strings.
#![allow(unsafe_code)]

use super::{Input, sources};
use crate::{FileError, Result, unpacked};
use hdf5::Dataset;
use hdf5_sys::h5d::H5Dvlen_get_buf_size;
use std::path::Path;

impl Input {
    /// Checks that the dataset is an array and no larger than a file of this size may decompress
    /// to; empty arrays count too.
    pub(super) fn check_size(&self, name: &str, dataset: &Dataset) -> Result<()> {
        let space = dataset.space().map_err(|cause| self.refused(name, &cause))?;
        if space.is_null() {
            return Err(self.mismatch(
                name,
                "a dataset with values, or nothing of this name",
                "a dataset without values",
                "write its values, or remove it",
            ));
        }
        let item = dataset.dtype().map_err(|cause| self.refused(name, &cause))?.size();
        let shape = space.shape();
        self.check_bytes(name, unpacked::extent(&shape, item), || {
            format!("shape {shape:?}, of {item} bytes each")
        })
    }

    /// The same check for strings, whose bytes may be stored separately or shared.
    pub(super) fn check_texts(&self, name: &str, dataset: &Dataset) -> Result<()> {
        // A single string is no larger than the file, and HDF5 (1.14) cannot answer for a scalar
        // dataset.
        if dataset.ndim() == 0 {
            return Ok(());
        }
        let size = size_of_texts(dataset).map_err(|cause| self.refused(name, &cause))?;
        self.check_bytes(name, Some(size), || format!("strings of {size} bytes"))
    }

    fn check_bytes(
        &self,
        name: &str,
        bytes: Option<u64>,
        found: impl Fn() -> String,
    ) -> Result<()> {
        let fits = |length: u64| bytes.is_some_and(|bytes| bytes <= unpacked::most(length));
        let own = length(&self.path)?;
        if fits(own) {
            return Ok(());
        }
        // The sizes of other files that hold its data are added.
        let others: u64 = sources(&self.path)?.iter().map(|path| length(path).unwrap_or(0)).sum();
        let all = own.saturating_add(others);
        match fits(all) {
            true => Ok(()),
            false => Err(self.mismatch(
                name,
                format!("no more than {}", unpacked::words(all)),
                found(),
                unpacked::ADVICE,
            )),
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
        // SAFETY: dataset, type and space stay open while they are borrowed, and the size has the
        // type that HDF5 writes.
        let found =
            unsafe { H5Dvlen_get_buf_size(dataset.id(), dtype.id(), space.id(), &mut size) };
        if found < 0 { Err(hdf5::Error::query()?) } else { Ok(size) }
    })
}
