//! The parts of a virtual dataset. The high-level crate rejects selections of one block, which most
//! writers make, so this calls the C library directly.
#![allow(unsafe_code)]

use super::selection::{Axis, Selection};
use hdf5::plist::DatasetCreate;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{
    H5Pget_virtual_count, H5Pget_virtual_dsetname, H5Pget_virtual_filename,
    H5Pget_virtual_srcspace, H5Pget_virtual_vspace,
};
use hdf5_sys::h5s::{
    H5S_UNLIMITED, H5S_sel_type, H5Sclose, H5Sget_regular_hyperslab, H5Sget_select_bounds,
    H5Sget_select_hyper_blocklist, H5Sget_select_hyper_nblocks, H5Sget_select_npoints,
    H5Sget_select_type, H5Sget_simple_extent_ndims, H5Sis_regular_hyperslab,
};
use std::os::raw::c_char;
use std::ptr::null_mut;

/// Most blocks of an irregular selection.
const MOST_BLOCKS: usize = 1_000_000;

/// A part of a virtual dataset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Name of the source file as stored; `.` is the same file.
    pub(super) file: String,
    /// Name of the source dataset.
    pub(super) dataset: String,
    /// Where in the virtual dataset the part is.
    pub(super) target: Selection,
    /// Which values of the source it provides.
    pub(super) provides: Selection,
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
    // SAFETY: the list is open; `Space` closes the returned handle when it is dropped.
    let target = Space::of(unsafe { H5Pget_virtual_vspace(list, index) })?;
    // SAFETY: as above.
    let source = Space::of(unsafe { H5Pget_virtual_srcspace(list, index) })?;
    Ok(Part {
        file: text(|buffer, size| {
            // SAFETY: the list is open, and HDF5 writes at most `size` bytes to `buffer`.
            unsafe { H5Pget_virtual_filename(list, index, buffer, size) }
        })?,
        dataset: text(|buffer, size| {
            // SAFETY: as above.
            unsafe { H5Pget_virtual_dsetname(list, index, buffer, size) }
        })?,
        target: target.selection()?,
        provides: source.selection()?,
        reaches: source.reaches(),
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

    fn rank(&self) -> hdf5::Result<usize> {
        // SAFETY: the space is open.
        usize::try_from(unsafe { H5Sget_simple_extent_ndims(self.0) })
            .map_err(|_| "a data space without dimensions".into())
    }

    fn selection(&self) -> hdf5::Result<Selection> {
        // SAFETY: the space is open.
        match unsafe { H5Sget_select_type(self.0) } {
            H5S_sel_type::H5S_SEL_ALL => return Ok(Selection::All),
            H5S_sel_type::H5S_SEL_HYPERSLABS => {}
            H5S_sel_type::H5S_SEL_NONE => return Ok(Selection::Boxes(vec![])),
            _ => return Err("a selection that is neither all nor made of blocks".into()),
        }
        let rank = self.rank()?;
        // SAFETY: the space is open, and its selection is one of blocks.
        if unsafe { H5Sis_regular_hyperslab(self.0) } > 0 {
            return self.regular(rank);
        }
        // SAFETY: as above.
        let blocks = usize::try_from(unsafe { H5Sget_select_hyper_nblocks(self.0) });
        let Some(blocks) = blocks.ok().filter(|blocks| *blocks <= MOST_BLOCKS) else {
            return Err(format!("a selection of more than {MOST_BLOCKS} blocks").into());
        };
        let mut corners = vec![0; blocks * 2 * rank];
        let all = blocks as u64;
        // SAFETY: the buffer has two corners of `rank` numbers for each block.
        let found = unsafe { H5Sget_select_hyper_blocklist(self.0, 0, all, corners.as_mut_ptr()) };
        if found < 0 {
            return Err(hdf5::Error::query()?);
        }
        let block = |corners: &[u64]| {
            let (first, last) = corners.split_at(rank);
            first
                .iter()
                .zip(last)
                .map(|(first, last)| *first as usize..*last as usize + 1)
                .collect()
        };
        Ok(Selection::Boxes(corners.chunks_exact((2 * rank).max(1)).map(block).collect()))
    }

    fn regular(&self, rank: usize) -> hdf5::Result<Selection> {
        let [mut start, mut stride, mut count, mut block] = [(); 4].map(|()| vec![0; rank]);
        // SAFETY: each buffer has one number per dimension.
        let found = unsafe {
            H5Sget_regular_hyperslab(
                self.0,
                start.as_mut_ptr(),
                stride.as_mut_ptr(),
                count.as_mut_ptr(),
                block.as_mut_ptr(),
            )
        };
        if found < 0 {
            return Err(hdf5::Error::query()?);
        }
        let limited = |value: u64| (value != H5S_UNLIMITED).then_some(value as usize);
        let axis = |axis: usize| Axis {
            start: start[axis] as usize,
            stride: (stride[axis] as usize).max(1),
            count: limited(count[axis]),
            block: limited(block[axis]),
        };
        Ok(Selection::Regular((0..rank).map(axis).collect()))
    }

    /// How many values are selected; `None` if the selection is unlimited.
    fn values(&self) -> Option<usize> {
        // SAFETY: the space is open.
        usize::try_from(unsafe { H5Sget_select_npoints(self.0) }).ok()
    }

    /// The smallest shape that contains the selection; `None` if it is unlimited.
    fn reaches(&self) -> Option<Vec<usize>> {
        self.values()?;
        let rank = self.rank().ok()?;
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
