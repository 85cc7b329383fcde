//! Scans and responses on disk.

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

/// The class that is written for every image; the identifier alone tells them apart.
const IMAGE_CLASS: &str = "image";

/// Reads a scan: a file in the static HDF5 layout, a Sensorium file tree (a folder), or such a tree zipped, at the root of
/// the archive or in one folder. Which of them it is, is seen from the content, not from the name.
///
/// Images become f32 in [0, 1]: pixels are divided by the range that the file states (attribute `range` of `images`, or
/// `meta/image_range.npy`), or else by 255, except that floating-point pixels are taken as they are where none is above 1. Where
/// the largest leaves that in doubt, it must be stated. Two rows show the same image where all pixels are
/// equal, whatever the file calls them: rows of one identifier (`image_id`, `colorframeprojector_image_id` or
/// `frame_image_id`, with its class) must have equal pixels, which is an error otherwise; equal pixels under several
/// identifiers are one image, and a warning is traced. Tier `final_test` is read as test; rows of tier `test_mei` are left out.
/// Without the feature `hdf5` a static HDF5 file is an error that says so.
///
/// # Errors
/// A file of another kind, cut off or damaged; a dataset or array that is missing, of another rank or type, or with another
/// number of rows; a pixel outside its range; an unknown tier; and all that [`Scan::new`] refuses.
pub fn read_scan(path: &Path) -> Result<Scan> {
    read_scan_with_notes(path).map(|(scan, _)| scan)
}

/// As [`read_scan`], with what was decided on the way.
///
/// # Errors
/// As [`read_scan`].
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
    Err(FileError::mismatch(path, "/", expected, found, "name a scan file; HDF5 files begin with \\x89HDF").into())
}

/// What a Sensorium tree, a folder or zipped, holds: every array file with its type and shape, the numbered ones of a folder as
/// one `*.npy`.
///
/// # Errors
/// A folder or archive that cannot be read; an array file without a valid header.
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
    Err(FileError::mismatch(path, "/", "a Sensorium folder, or a zip archive of one", "an HDF5 file", advice).into())
}

fn start_of(path: &Path) -> Result<Vec<u8>> {
    let mut start = vec![];
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.map_err(FileError::refused(path, "read"))?;
    Ok(start)
}

/// What the loaders read of each row besides the data.
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
        condition_hash: scan.trial_image().iter().map(|image| scan.stimuli().ids()[*image].to_string()).collect(),
    }
}

/// What the loaders read of each neuron, the numbers.
fn neuron_info(scan: &Scan) -> [(&'static str, Vec<i64>); 4] {
    let (count, origin) = (scan.neurons().len(), scan.origin());
    [
        ("unit_ids", scan.neurons().unit_ids().to_vec()),
        ("animal_ids", vec![origin.animal_id; count]),
        ("sessions", vec![origin.session; count]),
        ("scan_idx", vec![origin.scan_idx; count]),
    ]
}
