//! Scans and responses on disk.

mod annotations;
mod assemble;
#[cfg(feature = "hdf5")]
mod hdf5_input;
#[cfg(feature = "hdf5")]
mod hdf5_output;
mod npy;
#[cfg(feature = "hdf5")]
mod responses_file;
mod sensorium;
#[cfg(feature = "hdf5")]
mod static_hdf5;
mod statistics;
mod tree;
#[cfg(feature = "hdf5")]
mod truth_file;

pub use sensorium::write_sensorium;
#[cfg(feature = "hdf5")]
pub use static_hdf5::write_static_hdf5;
#[cfg(feature = "hdf5")]
pub use truth_file::{read_truth, write_truth};

use crate::{Result, Scan};
use brainprior_artifact::FileError;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The class that is written for every image; the identifier alone tells them apart.
const IMAGE_CLASS: &str = "image";

/// Reads a scan: a file in the static HDF5 layout, a Sensorium file tree (a folder), or such a tree zipped, at the root of
/// the archive or in one folder. Which of them it is, is seen from the content, not from the name.
///
/// Images become f32 in [0, 1]: bytes and other whole numbers are divided by 255; floating-point pixels are divided by 255
/// where any pixel of the file is above 1, and taken as they are otherwise. Two rows show the same image where all pixels are
/// equal, whatever the file calls them: rows of one identifier (`image_id`, `colorframeprojector_image_id` or
/// `frame_image_id`, with its class) must have equal pixels, which is an error otherwise; equal pixels under several
/// identifiers are one image, and a warning is traced. Tier `final_test` is read as test. Without the feature `hdf5` a static
/// HDF5 file is an error that says so.
///
/// # Errors
/// A file of another kind, cut off or damaged; a dataset or array that is missing, of another rank or type, or with another
/// number of rows; a pixel outside its range; an unknown tier; and all that [`Scan::new`] refuses.
pub fn read_scan(path: &Path) -> Result<Scan> {
    let _span = tracing::info_span!("read_scan", path = %path.display()).entered();
    if std::fs::metadata(path).map_err(FileError::refused(path, "read"))?.is_dir() {
        return sensorium::read_folder(path);
    }
    let mut file = File::open(path).map_err(FileError::refused(path, "read"))?;
    let mut start = vec![];
    file.by_ref().take(8).read_to_end(&mut start).map_err(FileError::refused(path, "read"))?;
    if start.starts_with(b"PK") {
        return sensorium::read_zip(path);
    }
    if is_hdf5(&mut file).map_err(FileError::refused(path, "read"))? {
        return read_hdf5(path);
    }
    let expected = "an HDF5 file, a Sensorium folder, or a zip archive of one";
    let found = format!("a file that begins with {:?}", String::from_utf8_lossy(&start));
    Err(FileError::mismatch(path, "/", expected, found, "name a scan file; HDF5 files begin with \\x89HDF").into())
}

#[cfg(feature = "hdf5")]
fn read_hdf5(path: &Path) -> Result<Scan> {
    static_hdf5::read(path)
}

#[cfg(not(feature = "hdf5"))]
fn read_hdf5(path: &Path) -> Result<Scan> {
    let advice = "build brainprior-recording with its feature `hdf5`, or convert the scan to a Sensorium folder";
    Err(FileError::mismatch(path, "/", "a Sensorium folder, or a zip archive of one", "an HDF5 file", advice).into())
}

/// Whether the HDF5 signature stands at one of the places where it may: 0, 512, 1024, 2048, ...
fn is_hdf5(file: &mut File) -> std::io::Result<bool> {
    let length = file.metadata()?.len();
    let mut offset = 0;
    while offset + 8 <= length {
        let mut signature = [0; 8];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut signature)?;
        if signature == *b"\x89HDF\r\n\x1a\n" {
            return Ok(true);
        }
        offset = (2 * offset).max(512);
    }
    Ok(false)
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
