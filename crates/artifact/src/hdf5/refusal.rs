//! Turns errors of the HDF5 library into helpful messages.

use crate::FileError;
use hdf5::MajorErrorCode;
use std::io::Read;
use std::path::Path;

const CUT_OFF: &str = "if it was copied, compare its size with the original: it may be truncated";
const DAMAGED: &str = "the file may be damaged: copy it again, or check it with `h5dump`";

/// Names of filters by their registered numbers.
const FILTERS: [(i32, &str); 14] = [
    (4, "szip"),
    (307, "bzip2"),
    (32000, "LZF"),
    (32001, "Blosc"),
    (32004, "LZ4"),
    (32008, "Bitshuffle"),
    (32012, "MAFISC"),
    (32013, "ZFP"),
    (32015, "Zstd"),
    (32017, "SZ"),
    (32018, "FCIDECOMP"),
    (32019, "JPEG"),
    (32024, "SZ3"),
    (32026, "Blosc2"),
];

const READ_FILTERS: &str = "no filter, or one of: gzip, shuffle, Fletcher32, scale-offset, n-bit, LZF and Blosc (around BloscLZ, LZ4, \
                            zlib or Zstd)";

/// The error for a file that is not HDF5.
pub(super) fn not_hdf5(path: &Path) -> FileError {
    let mut start = vec![];
    // If the beginning cannot be read, the message leaves it out.
    let _ = std::fs::File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    let found = match start.is_empty() {
        true => "an empty file".to_owned(),
        false => format!("a file that begins with {:?}", String::from_utf8_lossy(&start)),
    };
    FileError::mismatch(
        path,
        "/",
        "an HDF5 file (it begins with \\x89HDF)",
        found,
        "name another file, or fetch it again",
    )
}

/// The error for a file that another process is writing.
pub(super) fn locked(path: &Path) -> FileError {
    let advice = "close the program that writes it, or read a copy";
    FileError::mismatch(
        path,
        "/",
        "a file that nothing is writing",
        "a file that another program has locked",
        advice,
    )
}

pub(super) fn of_opening(path: &Path, cause: &hdf5::Error) -> FileError {
    let text = whole(cause);
    if text.contains("unable to lock") {
        return locked(path);
    }
    if text.contains("already open for") || text.contains("consistency flags") {
        return FileError::mismatch(
            path,
            "/",
            "a file that was closed after writing",
            "the mark of a program that is writing it (SWMR) or was stopped while writing",
            "close that program; if there is none, clear the mark in a copy with `h5clear -s FILE`",
        );
    }
    FileError::refused(path, "open the file")(words(cause)).advise(CUT_OFF)
}

pub(super) fn of_reading(path: &Path, name: &str, cause: &hdf5::Error) -> FileError {
    FileError::refused(path, "read")(words(cause)).in_dataset(name).advise(DAMAGED)
}

/// The error for a missing filter. HDF5 itself would name the plugin folder of the machine that
/// built it.
pub(super) fn missing_filter(path: &Path, name: &str, number: i32) -> FileError {
    let filter = FILTERS.iter().find(|(known, _)| *known == number).map_or_else(
        || format!("filter {number} of the HDF Group's registry"),
        |(_, filter)| format!("the filter {filter} (number {number})"),
    );
    FileError::mismatch(
        path,
        name,
        READ_FILTERS,
        format!("{filter}, which is not installed"),
        "set HDF5_PLUGIN_PATH to a folder with its plugin (for most, that of Python's hdf5plugin: hdf5plugin.PLUGIN_PATH), or \
         write the file without it: h5repack -f GZIP=4 FILE NEW, with an HDF5 that has the filter",
    )
}

/// The error for a filter that is present but cannot decode the data: Blosc with a compressor that
/// is not built in.
pub(super) fn filter_settings(path: &Path, name: &str, cause: &hdf5::Error) -> FileError {
    FileError::mismatch(
        path,
        name,
        READ_FILTERS,
        format!("a filter that cannot be decoded with these settings ({})", words(cause)),
        "write the file without it: h5repack -f GZIP=4 FILE NEW, with an HDF5 that has the filter",
    )
}

/// The target of a link, as far as HDF5 states it.
pub(super) fn of_link(cause: &hdf5::Error) -> String {
    let text = whole(cause);
    match text.lines().find(|line| line.contains("file name = '") || line.contains("doesn't exist"))
    {
        Some(line) => line.to_owned(),
        None => words(cause),
    }
}

/// The outermost and the innermost description. Lines about plugins are dropped: they name folders
/// of the machine that built HDF5.
pub(super) fn words(cause: &hdf5::Error) -> String {
    let Some(stack) = cause.stack() else { return cause.to_string() };
    let told: Vec<&str> = stack
        .iter()
        .filter(|frame| frame.major_code() != MajorErrorCode::Plugin)
        .map(|frame| frame.desc())
        .collect();
    match told[..] {
        [] => "HDF5 does not say why".to_owned(),
        [only] => only.to_owned(),
        [first, .., last] => format!("{first}: {last}"),
    }
}

fn whole(cause: &hdf5::Error) -> String {
    match cause.stack() {
        Some(stack) => stack.iter().map(|frame| frame.desc()).collect::<Vec<_>>().join("\n"),
        None => cause.to_string(),
    }
}
