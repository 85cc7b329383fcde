//! The parts of a virtual dataset. The high-level crate rejects selections of one block, which most
//! writers make, so this calls the C library directly.
#![allow(unsafe_code)]

use hdf5::plist::DatasetCreate;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{
    H5Pget_virtual_count, H5Pget_virtual_dsetname, H5Pget_virtual_filename,
    H5Pget_virtual_srcspace, H5Pget_virtual_vspace,
};
use hdf5_sys::h5s::{
    H5Sclose, H5Sget_select_bounds, H5Sget_select_npoints, H5Sget_simple_extent_ndims,
};
use std::os::raw::c_char;
use std::ptr::null_mut;

/// A part of a virtual dataset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Name of the source file as stored; `.` is the same file.
    pub(super) file: String,
    /// Name of the source dataset.
    pub(super) dataset: String,
    /// How many values the part provides; `None` if that grows with the source.
    pub(super) covers: Option<usize>,
    /// Smallest allowed shape of the source; `None` if it may grow.
    pub(super) reaches: Option<Vec<usize>>,
}

/// All parts in order.
pub(super) fn parts(properties: &DatasetCreate) -> hdf5::Result<Vec<Part>> {
    let list = properties.id();
    hdf5::sync::sync(|| {
        let mut count = 0;
        // SAFETY: the list is open while `properties` is, and the count has the type that HDF5
        // writes.
        if unsafe { H5Pget_virtual_count(list, &mut count) } < 0 {
            return Err(hdf5::Error::query()?);
        }
        (0..count).map(|index| part(list, index)).collect()
    })
}

fn part(list: hid_t, index: usize) -> hdf5::Result<Part> {
    Ok(Part {
        file: text(|buffer, size| {
            // SAFETY: the list is open, and HDF5 writes at most `size` bytes to `buffer`.
            unsafe { H5Pget_virtual_filename(list, index, buffer, size) }
        })?,
        dataset: text(|buffer, size| {
            // SAFETY: as above.
            unsafe { H5Pget_virtual_dsetname(list, index, buffer, size) }
        })?,
        // SAFETY: the list is open; `Space` closes the returned handle when it is dropped.
        covers: Space::of(unsafe { H5Pget_virtual_vspace(list, index) })?.values(),
        // SAFETY: as above.
        reaches: Space::of(unsafe { H5Pget_virtual_srcspace(list, index) })?.reaches(),
    })
}

/// Reads a string that HDF5 writes into a buffer, after asking for its length.
fn text(write: impl Fn(*mut c_char, usize) -> isize) -> hdf5::Result<String> {
    let Ok(length) = usize::try_from(write(null_mut(), 0)) else {
        return Err(hdf5::Error::query()?);
    };
    let mut bytes = vec![0u8; length + 1];
    if write(bytes.as_mut_ptr().cast(), bytes.len()) < 0 {
        return Err(hdf5::Error::query()?);
    }
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A selection in an array.
struct Space(hid_t);

impl Space {
    fn of(id: hid_t) -> hdf5::Result<Self> {
        if id < 0 { Err(hdf5::Error::query()?) } else { Ok(Self(id)) }
    }

    /// How many values are selected; `None` if the selection is unlimited.
    fn values(&self) -> Option<usize> {
        // SAFETY: the space is open.
        usize::try_from(unsafe { H5Sget_select_npoints(self.0) }).ok()
    }

    /// The smallest shape that contains the selection; `None` if it is unlimited.
    fn reaches(&self) -> Option<Vec<usize>> {
        self.values()?;
        // SAFETY: the space is open.
        let rank = usize::try_from(unsafe { H5Sget_simple_extent_ndims(self.0) }).ok()?;
        let (mut first, mut last) = (vec![0; rank], vec![0; rank]);
        // SAFETY: both buffers have one number per dimension.
        let found = unsafe { H5Sget_select_bounds(self.0, first.as_mut_ptr(), last.as_mut_ptr()) };
        (found >= 0).then(|| last.into_iter().map(|last| last as usize + 1).collect())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: the space is open, and nothing else owns the handle.
        unsafe { H5Sclose(self.0) };
    }
}
