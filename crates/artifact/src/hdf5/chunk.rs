//! Chunks that are compressed before HDF5 sees them. The library compresses one chunk after the other; the high-level crate does not hand
//! on its call for chunks as they lie in the file.
#![allow(unsafe_code)]

use hdf5_sys::h5d::H5Dwrite_chunk;
use hdf5_sys::h5p::H5P_DEFAULT;

/// Writes the chunk that begins at `offset` of the dataset: `bytes` are what its filters would have made of it.
///
/// # Errors
/// An offset of another rank than the dataset's, one that is no chunk's, and whatever HDF5 refuses.
pub fn write_chunk(dataset: &hdf5::Dataset, offset: &[u64], bytes: &[u8]) -> hdf5::Result<()> {
    if offset.len() != dataset.ndim() {
        return Err(format!("an offset of rank {} in a dataset of rank {}", offset.len(), dataset.ndim()).into());
    }
    hdf5::sync::sync(|| {
        // SAFETY: the dataset is open as long as it is borrowed, the offset has as many numbers as it has axes, and of `bytes` as many
        // are read as there are.
        let written =
            unsafe { H5Dwrite_chunk(dataset.id(), H5P_DEFAULT, 0, offset.as_ptr(), bytes.len(), bytes.as_ptr().cast()) };
        if written < 0 { Err(hdf5::Error::query()?) } else { Ok(()) }
    })
}
