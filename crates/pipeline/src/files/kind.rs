//! Recognizes the kind of a file by its content. For an unknown kind it reports what was found.

use super::contents::Contents;
use super::spec::{Container, Kind};
use anyhow::Result;
use brainprior_artifact::hdf5::Input;
use brainprior_artifact::{FileError, is_hdf5};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// Number of names listed for an unknown file.
const NAMES_SHOWN: usize = 6;

/// The kind of a path.
pub(crate) enum Recognized {
    /// A kind with a data spec.
    Known(Kind),
    /// No known kind.
    Unknown(Unknown),
}

/// A file of unknown kind.
pub(crate) struct Unknown {
    /// Description of the content, as far as it can be told.
    pub(crate) found: String,
    /// The container of its datasets, if they can be listed.
    pub(crate) container: Option<Container>,
    would_be_read: &'static str,
    advice: &'static str,
}

const ANY: &str = "a scan, truth, responses, similarities, pairs or neighbors (.h5), a Sensorium tree (a folder or .zip), a layout of arrays (.toml), \
                   labeled images (.safetensors, a folder of pictures, or CIFAR as a folder or .tar.gz), a network's weights (.safetensors, .pt, .pth), or results.json, \
                   attack.json, histogram.json or times.json, or what `export` writes";
const ANY_HDF5: &str = "a scan (images, responses, tiers), truth, responses, similarities, pairs or neighbors as in data-specs";
const ANY_TENSORS: &str = "labeled images (train_images ...), a classifier (stem.0.weight ... head.bias, or conv1.weight ... fc.bias) or a VGG \
                           network (features.0.weight ...) as in data-specs";
const ANY_JSON: &str = "results.json, attack.json, histogram.json or times.json";

impl Unknown {
    /// The error.
    pub(crate) fn error(&self, path: &Path) -> FileError {
        let found = format!("{}, which is of unknown kind", self.found);
        FileError::mismatch(path, "kind of file", self.would_be_read, found, self.advice)
    }
}

fn unknown(
    found: impl Into<String>,
    would_be_read: &'static str,
    advice: &'static str,
) -> Recognized {
    Recognized::Unknown(Unknown { found: found.into(), container: None, would_be_read, advice })
}

/// An unknown file whose datasets can be listed.
fn listable(
    container: Container,
    found: String,
    would_be_read: &'static str,
    advice: &'static str,
) -> Recognized {
    Recognized::Unknown(Unknown { found, container: Some(container), would_be_read, advice })
}

/// Recognizes `path`.
///
/// # Errors
/// Returns an error if a file or folder cannot be read, or an HDF5 file cannot be opened.
pub(crate) fn recognize(path: &Path) -> Result<Recognized> {
    if path.is_dir() {
        return of_folder(path);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let mut start = vec![];
    let file = std::fs::File::open(path).map_err(FileError::refused(path, "open"))?;
    file.take(512).read_to_end(&mut start).map_err(FileError::refused(path, "read"))?;

    if is_hdf5(path)? {
        return of_hdf5(path);
    }
    if start.starts_with(b"PK") {
        return of_zip(path, &start);
    }
    if ends(&[".pt", ".pth"]) && start.first() == Some(&0x80) {
        return of_torch(path);
    }
    // The reader of image sets also tells users to unpack other archives first.
    if ends(&[".tar.gz", ".tgz", ".xz"]) {
        return Ok(Recognized::Known(Kind::ImageSet));
    }
    if ends(&[".safetensors"]) {
        return of_safetensors(path);
    }
    if ends(&[".toml"]) {
        return Ok(Recognized::Known(Kind::Layout));
    }
    if ends(&[".json"]) {
        return of_json(path);
    }
    let begins = format!(
        "a file that begins with {:?}",
        String::from_utf8_lossy(&start[..start.len().min(8)])
    );
    Ok(if start.starts_with(b"MATLAB 5.0 MAT-file") {
        unknown("a MATLAB 5 file", ANY, "save it with -v7.3, or write HDF5 with h5write")
    } else if start.starts_with(b"CDF") {
        unknown("a netCDF-3 file", ANY, "convert it to netCDF-4: nccopy -k nc4 FILE NEW")
    } else if start.starts_with(b"\x93NUMPY") && super::exported::both(path).is_some() {
        Recognized::Known(Kind::ExportedMatrix)
    } else if start.starts_with(b"\x93NUMPY") {
        unknown(
            "a single NumPy array",
            ANY,
            "describe it in a layout and import it: cargo xtask import arrays LAYOUT.toml OUT.h5",
        )
    } else if start.first() == Some(&0x80) {
        unknown(
            "a Python pickle",
            ANY,
            "save tensors with torch.save or safetensors.torch.save_file, and arrays as HDF5",
        )
    } else if ends(&[".h5", ".hdf5", ".nwb", ".nc", ".mat"]) {
        unknown(
            format!("{begins} and has no HDF5 signature"),
            ANY,
            "compare its size with the original: it may be truncated",
        )
    } else {
        unknown(begins, ANY, "use a file of one of these kinds")
    })
}

fn of_folder(path: &Path) -> Result<Recognized> {
    let listed = std::fs::read_dir(path).map_err(FileError::refused(path, "list"))?;
    let mut names: Vec<String> = listed
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    let has = |name: &str| names.iter().any(|known| known == name);
    let cifar = [
        "test_batch.bin",
        "data_batch_1.bin",
        "train.bin",
        "test.bin",
        "cifar-10-batches-bin",
        "cifar-100-binary",
        "test_batch",
        "data_batch_1",
        "cifar-10-batches-py",
        "cifar-100-python",
    ];
    // CIFAR-100 for Python has a file called `meta`, the name of a folder in a Sensorium tree.
    if cifar.into_iter().any(has) || has("train") || has("test") {
        return Ok(Recognized::Known(Kind::ImageSet));
    }
    if has("meta") || has("data") {
        return Ok(Recognized::Known(Kind::Sensorium));
    }
    if has("screen") && has("responses") {
        return Ok(unknown(
            "a session of experanto",
            ANY,
            "import it: cargo xtask import experanto FOLDER OUT.h5",
        ));
    }
    if has("suite2p") || has("plane0") || has("spks.npy") {
        let advice = "import it with a table of onsets: cargo xtask import suite2p FOLDER OUT.h5 --onsets FILE --images FILE --rate HZ";
        return Ok(unknown("a folder of suite2p", ANY, advice));
    }
    Ok(unknown(
        format!("a folder with {}", some(names)),
        ANY,
        "use a folder of one of these kinds, or a file in it",
    ))
}

/// Recognizes a zip file by the name of its first member, which is at the beginning.
fn of_zip(path: &Path, start: &[u8]) -> Result<Recognized> {
    let length =
        start.get(26..28).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    let first =
        String::from_utf8_lossy(start.get(30..30 + length).unwrap_or_default()).into_owned();
    if first.ends_with("data.pkl") {
        return of_torch(path);
    }
    if first.ends_with(".npy") && !first.contains('/') {
        return Ok(unknown(
            "a NumPy .npz file",
            ANY,
            "describe the arrays in a layout and import them: cargo xtask import arrays LAYOUT.toml OUT.h5",
        ));
    }
    Ok(Recognized::Known(Kind::Sensorium))
}

/// Recognizes a PyTorch file; an error of its reader is that of the file.
fn of_torch(path: &Path) -> Result<Recognized> {
    Ok(of_tensors(super::contents::of_weights(path)?, Container::Weights))
}

fn of_hdf5(path: &Path) -> Result<Recognized> {
    let input = Input::open(path)?;
    // A link that leads nowhere counts as present: the reader reports the problem.
    let has = |name: &str| input.has(name).unwrap_or(true);
    if let Ok(version) = input.text_attribute("nwb_version") {
        let found = format!("an NWB file of version {version}");
        let advice = "import it: cargo xtask import nwb FILE OUT.h5";
        return Ok(listable(Container::Hdf5, found, ANY_HDF5, advice));
    }
    let format = input.text_attribute("format").unwrap_or_default();
    Ok(Recognized::Known(match format.as_str() {
        "brainprior-responses" => Kind::Responses,
        "brainprior-similarity" => Kind::Similarity,
        "brainprior-pairs" => Kind::Pairs,
        "brainprior-neighbours" => Kind::Neighbors,
        _ if has("ground_truth/expected_responses") => Kind::Truth,
        _ if has("images") || has("tiers") || has("responses") => Kind::Scan,
        _ if has("image_id") && has("values") => Kind::Responses,
        _ if has("image_ids") && has("similarity") => Kind::Similarity,
        _ => {
            let names = brainprior_artifact::hdf5::list(path)?.into_keys().collect();
            let found = format!("an HDF5 file with {}", some(names));
            let advice = "write it in one of these layouts, or use another file";
            return Ok(listable(Container::Hdf5, found, ANY_HDF5, advice));
        }
    }))
}

fn of_safetensors(path: &Path) -> Result<Recognized> {
    Ok(of_tensors(super::contents::of_safetensors(path)?, Container::Safetensors))
}

fn of_tensors(contents: Contents, container: Container) -> Recognized {
    let has = |name: &str| contents.contains_key(name);
    Recognized::Known(if has("train_images") || has("test_images") {
        Kind::ImageSet
    } else if has("stem.0.weight") || has("head.weight") {
        Kind::Checkpoint
    } else if has("conv1.weight") && has("fc.weight") {
        Kind::StateDict
    } else if has("features.0.weight") {
        Kind::Vgg
    } else {
        let found = format!("tensors {}", some(contents.into_keys().collect()));
        let advice = "rename the tensors as in the spec, or use another file";
        return listable(container, found, ANY_TENSORS, advice);
    })
}

fn of_json(path: &Path) -> Result<Recognized> {
    let value: Value = brainprior_artifact::json::read(path)?;
    let Value::Object(fields) = &value else {
        return Ok(unknown("JSON that is not an object", ANY_JSON, "use another file"));
    };
    let format = fields.get("format").and_then(Value::as_str).unwrap_or_default();
    Ok(match format {
        "brainprior-results" => Recognized::Known(Kind::Results),
        "brainprior-attack" => Recognized::Known(Kind::Attack),
        _ if fields.contains_key("from") && fields.contains_key("counts") => {
            Recognized::Known(Kind::Histogram)
        }
        _ if !fields.is_empty() && fields.values().all(Value::is_number) => {
            Recognized::Known(Kind::Times)
        }
        _ => {
            let found = format!("JSON with {}", some(fields.keys().cloned().collect()));
            listable(Container::Json, found, ANY_JSON, "use another file")
        }
    })
}

/// The first few names.
fn some(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES_SHOWN);
    match names[..] {
        [] => "nothing in it".to_owned(),
        _ if more > 0 => format!("{} and {more} more", names[..NAMES_SHOWN].join(", ")),
        _ => names.join(", "),
    }
}
