//! Known formats that are not supported: the error names the format and says what to do.

use crate::Result;
use brainprior_artifact::FileError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// File name extensions of movies.
const MOVIES: [&str; 9] = ["mp4", "m4v", "avi", "mov", "mkv", "webm", "wmv", "mpg", "mpeg"];
/// Files in the folder of a Zarr store.
const ZARR: [&str; 5] = ["zarr.json", ".zgroup", ".zattrs", ".zmetadata", ".zarray"];

/// Returns an error if a file or folder has one of these formats.
pub(super) fn refuse(path: &Path) -> Result<()> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let refused = |found: &str, advice: &'static str| {
        Err(FileError::mismatch(
            path,
            "kind of file",
            "a recording in a supported format",
            found,
            advice,
        )
        .into())
    };
    if path.is_dir() {
        return match ending == "zarr" || ZARR.iter().any(|name| path.join(name).exists()) {
            true => refused(
                "a Zarr store",
                "convert it to HDF5, with hdmf-zarr's export for NWB or zarr.copy for arrays",
            ),
            false => Ok(()),
        };
    }
    if MOVIES.contains(&ending.as_str()) {
        return refused(
            "a movie",
            "movies are not supported: give the images that were shown, as arrays or pictures",
        );
    }
    let mut start = vec![];
    let file = File::open(path).map_err(FileError::refused(path, "open"))?;
    file.take(128).read_to_end(&mut start).map_err(FileError::refused(path, "read"))?;
    if start.starts_with(b"MATLAB 5.0 MAT-file") {
        return refused("a MATLAB 5 file", "save it in MATLAB with -v7.3");
    }
    if start.first() == Some(&0x80) || ["pkl", "pickle"].contains(&ending.as_str()) {
        return refused(
            "a Python pickle, which is a program",
            "save the arrays with numpy.save or numpy.savez",
        );
    }
    if start.starts_with(b"CDF") {
        return refused("a netCDF-3 file", "convert it to netCDF-4: nccopy -k nc4 FILE NEW");
    }
    Ok(())
}
