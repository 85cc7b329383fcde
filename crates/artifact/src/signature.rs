//! Recognizes HDF5 files without the HDF5 library.

use crate::{FileError, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Every HDF5 file has this at one of a few offsets.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Recognizes the kind of a file from its first bytes, for messages about files of the wrong kind.
pub(crate) fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 9] = [
        (&SIGNATURE, "an HDF5 file"),
        (b"PK\x03\x04", "a zip (.npz, .pt and .zip files are zips)"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"MATLAB", "a MATLAB file"),
        (b"{", "JSON"),
        (b"\x80\x02", "a Python pickle"),
    ];
    kinds.into_iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, kind)| kind)
}

/// Whether a file has the HDF5 signature at one of its allowed offsets: 0, 512, 1024, 2048, ...
///
/// # Errors
/// Returns [`FileError`] if the file cannot be read.
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
