//! Reads and writes scans and responses.

pub(crate) mod annotations;
pub(crate) mod assemble;
#[cfg(feature = "hdf5")]
mod hdf5_output;
mod notes;
#[cfg(feature = "hdf5")]
mod responses_file;
mod sensorium;
#[cfg(feature = "hdf5")]
mod static_hdf5;
mod statistics;
mod tree;
#[cfg(feature = "hdf5")]
mod truth_file;

pub use assemble::distinct_images;
pub use notes::Notes;
pub use sensorium::write_sensorium;
#[cfg(feature = "hdf5")]
pub use static_hdf5::write_static_hdf5;
#[cfg(feature = "hdf5")]
pub use truth_file::{read_truth, write_truth};

use crate::{Result, Scan};
use brainprior_artifact::{Entry, FileError, is_hdf5};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tree::Tree;

/// The image class written for every image; the identifier alone distinguishes images.
const IMAGE_CLASS: &str = "image";

/// Reads a scan: a static HDF5 file, a Sensorium file tree (a folder), or a zip archive of such a
/// tree, at the root or in one folder. The format is detected from the content, not from the name.
///
/// Pixels are scaled to f32 in [0, 1]: divided by the range that the file states (attribute `range`
/// of `images`, or `meta/image_range.npy`), or else by 255; floating-point pixels stay unchanged if
/// none is above 1. If the largest pixel leaves the range ambiguous, the file must state it. Two
/// rows show the same image if all pixels are equal, whatever their identifiers. Rows with the same
/// identifier (`image_id`, `colorframeprojector_image_id` or `frame_image_id`, with its class) must
/// have equal pixels; if equal pixels have several identifiers, they count as one image and a
/// warning is logged. Tier `final_test` is read as test; rows of tier `test_mei` are left out.
/// Without the feature `hdf5`, a static HDF5 file is an error.
///
/// # Errors
/// Returns an error if the file is of another kind, truncated or damaged, if a dataset or array is
/// missing or has the wrong rank, type or number of rows, if a pixel is out of range, if a tier is
/// unknown, or if [`Scan::new`] fails.
pub fn read_scan(path: &Path) -> Result<Scan> {
    read_scan_with_notes(path).map(|(scan, _)| scan)
}

/// Like [`read_scan`], and also returns what was decided while reading.
///
/// # Errors
/// See [`read_scan`].
pub fn read_scan_with_notes(path: &Path) -> Result<(Scan, Notes)> {
    let _span = tracing::info_span!("read_scan", path = %path.display()).entered();
    if std::fs::metadata(path).map_err(FileError::refused(path, "read"))?.is_dir() {
        return sensorium::read_folder(path);
    }
    let start = start_of(path)?;
    if start.starts_with(b"PK") {
        return sensorium::read_zip(path);
    }
    if is_hdf5(path)? {
        return read_hdf5(path);
    }
    let expected = "an HDF5 file, a Sensorium folder, or a zip archive of one";
    let found = format!("a file that begins with {:?}", String::from_utf8_lossy(&start));
    Err(FileError::mismatch(
        path,
        "/",
        expected,
        found,
        "give a scan file; HDF5 files begin with \\x89HDF",
    )
    .into())
}

/// Lists a Sensorium tree, a folder or zip archive: every array file with type and shape; the
/// numbered files of a folder are one entry `*.npy`.
///
/// # Errors
/// Returns an error if the folder or archive cannot be read or an array file has no valid header.
pub fn list_sensorium(path: &Path) -> Result<BTreeMap<String, Entry>> {
    match path.is_dir() {
        true => Tree::folder(path).list(),
        false => Tree::zip(path, sensorium::TIERS)?.list(),
    }
}

#[cfg(feature = "hdf5")]
fn read_hdf5(path: &Path) -> Result<(Scan, Notes)> {
    static_hdf5::read(path)
}

#[cfg(not(feature = "hdf5"))]
fn read_hdf5(path: &Path) -> Result<(Scan, Notes)> {
    let advice = "build brainprior-recording with its feature `hdf5`, or convert the scan to a Sensorium folder";
    Err(FileError::mismatch(
        path,
        "/",
        "a Sensorium folder, or a zip archive of one",
        "an HDF5 file",
        advice,
    )
    .into())
}

fn start_of(path: &Path) -> Result<Vec<u8>> {
    let mut start = vec![];
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.map_err(FileError::refused(path, "read"))?;
    Ok(start)
}

/// The row metadata that the lab's loaders read.
struct ItemInfo {
    integers: [(&'static str, Vec<i64>); 5],
    condition_hash: Vec<String>,
}

fn item_info(scan: &Scan) -> ItemInfo {
    let trials = scan.tiers().len();
    let origin = scan.origin();
    let in_order = || (0..trials as i64).collect();
    let label = |image: &usize| scan.image_labels().map_or(*image as i64, |labels| labels[*image]);
    ItemInfo {
        integers: [
            ("animal_id", vec![origin.animal_id; trials]),
            ("session", vec![origin.session; trials]),
            ("scan_idx", vec![origin.scan_idx; trials]),
            ("trial_idx", scan.trial_idx().map_or_else(in_order, <[i64]>::to_vec)),
            ("frame_image_id", scan.trial_image().iter().map(label).collect()),
        ],
        condition_hash: scan
            .trial_image()
            .iter()
            .map(|image| scan.stimuli().ids()[*image].to_string())
            .collect(),
    }
}

/// The numeric neuron metadata that the lab's loaders read.
fn neuron_info(scan: &Scan) -> [(&'static str, Vec<i64>); 4] {
    let (count, origin) = (scan.neurons().len(), scan.origin());
    [
        ("unit_ids", scan.neurons().unit_ids().to_vec()),
        ("animal_ids", vec![origin.animal_id; count]),
        ("sessions", vec![origin.session; count]),
        ("scan_idx", vec![origin.scan_idx; count]),
    ]
}
