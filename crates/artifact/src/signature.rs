//! What tells an HDF5 file from others, without the library that reads it.

use crate::{FileError, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What every HDF5 file has at one of some places.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// What a file is that begins so, where that can be told: for messages about files of another kind than was asked for.
pub(crate) fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 9] = [
        (&SIGNATURE, "an HDF5 file"),
        (b"PK\x03\x04", "a zip, as .npz, .pt and .zip files are"),
        (b"\x93NUMPY", "an array of NumPy"),
        (b"\x1f\x8b", "a file packed with gzip"),
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"MATLAB", "a MATLAB file"),
        (b"{", "JSON"),
        (b"\x80\x02", "a Python pickle"),
    ];
    kinds.into_iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, kind)| kind)
}

/// Whether a file has the HDF5 signature at one of the places where it may stand: 0, 512, 1024, 2048, ...
///
/// # Errors
/// A file that cannot be read.
pub fn is_hdf5(path: &Path) -> Result<bool> {
    let mut file = File::open(path).map_err(FileError::refused(path, "open"))?;
    let mut search = || {
        let length = file.metadata()?.len();
        let mut offset = 0;
        while offset + 8 <= length {
            let mut signature = [0; 8];
            file.seek(SeekFrom::Start(offset))?;
            file.read_exact(&mut signature)?;
            if signature == SIGNATURE {
                return Ok(true);
            }
            offset = (2 * offset).max(512);
        }
        Ok(false)
    };
    search().map_err(FileError::refused::<std::io::Error>(path, "read"))
}
