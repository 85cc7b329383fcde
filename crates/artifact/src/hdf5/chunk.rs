//! Writes chunks that are already compressed. The library itself compresses one chunk after the
//! other, and the high-level crate does not expose its function for raw chunks.
#![allow(unsafe_code)]

use hdf5_sys::h5d::H5Dwrite_chunk;
use hdf5_sys::h5p::H5P_DEFAULT;

/// Writes the chunk that begins at `offset` of the dataset; `bytes` are the output of the dataset's
/// filters.
///
/// # Errors
/// Returns an error if the offset has the wrong rank or does not start a chunk, or if HDF5 fails.
pub fn write_chunk(dataset: &hdf5::Dataset, offset: &[u64], bytes: &[u8]) -> hdf5::Result<()> {
    if offset.len() != dataset.ndim() {
        return Err(format!(
            "an offset of rank {} in a dataset of rank {}",
            offset.len(),
            dataset.ndim()
        )
        .into());
    }
    hdf5::sync::sync(|| {
        // SAFETY: the dataset stays open while it is borrowed, the offset has as many numbers as
        // the dataset has axes, and HDF5 reads exactly `bytes.len()` bytes.
        let written = unsafe {
            H5Dwrite_chunk(
                dataset.id(),
                H5P_DEFAULT,
                0,
                offset.as_ptr(),
                bytes.len(),
                bytes.as_ptr().cast(),
            )
        };
        if written < 0 { Err(hdf5::Error::query()?) } else { Ok(()) }
    })
}
