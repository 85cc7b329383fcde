//! `validate` and `inspect`: any file of the chain, against its spec and for people.

mod contents;
mod inspect;
mod spec;

pub use inspect::inspect;

use crate::artifacts::Results;
use anyhow::{Context, Result, bail};
use brainprior_artifact::json;
use brainprior_classifier::ResNet;
use brainprior_images::read_labeled;
use brainprior_recording::{Responses, read_scan, simulation};
use brainprior_similarity::SimilarityMatrix;
use spec::{Container, Kind};
use std::path::Path;

const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// What kind of file `path` is, by its contents.
fn kind_of(path: &Path) -> Result<Kind> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if path.is_dir() {
        return Ok(if path.join("meta").is_dir() { Kind::Sensorium } else { Kind::ImageSet });
    }
    if name.ends_with(".zip") {
        return Ok(Kind::Sensorium);
    }
    // The reader of image sets also knows how to say that a packed file must be unpacked first.
    if [".tar.gz", ".tgz", ".xz"].iter().any(|ending| name.ends_with(ending)) {
        return Ok(Kind::ImageSet);
    }
    let mut start = [0; 8];
    let mut file = std::fs::File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let read = std::io::Read::read(&mut file, &mut start).with_context(|| format!("could not read {}", path.display()))?;
    if start[..read] == *HDF5_SIGNATURE {
        let contents = contents::list(path, Container::Hdf5)?;
        let has = |dataset: &str| contents.contains_key(dataset);
        return Ok(match () {
            _ if has("ground_truth/expected_responses") => Kind::Truth,
            _ if has("similarity") && has("neighbours") => Kind::Neighbors,
            _ if has("similarity") && has("first") => Kind::Pairs,
            _ if has("similarity") => Kind::Similarity,
            _ if has("images") || has("tiers") => Kind::Scan,
            _ => Kind::Responses,
        });
    }
    match name.rsplit('.').next() {
        Some("json") => Ok(Kind::Results),
        Some("safetensors") => {
            let contents = contents::list(path, Container::Safetensors)?;
            Ok(if contents.contains_key("train_images") || contents.contains_key("test_images") {
                Kind::ImageSet
            } else {
                Kind::Checkpoint
            })
        }
        Some("h5" | "hdf5") => bail!(
            "{}: not an HDF5 file: expected it to begin with the HDF5 signature, found {:02x?}; was the download cut short?",
            path.display(),
            &start[..read]
        ),
        _ => bail!(
            "{}: of no known kind; expected HDF5 (.h5), a Sensorium folder or .zip, CIFAR as a folder or .tar.gz, .safetensors, or results.json",
            path.display()
        ),
    }
}

/// Checks a file against its spec, then reads it as the pipeline would. Returns the report for people.
///
/// # Errors
/// Everything in which the file departs from its spec, one line each; or what its reader says.
pub fn validate(path: &Path) -> Result<String> {
    let kind = kind_of(path)?;
    let spec = kind.spec()?;
    // A zipped tree and CIFAR's own formats have no list of datasets; their readers check them in full.
    let listed = match (spec.format, path.is_dir()) {
        (Container::Folder, false) => None,
        (Container::Safetensors, _) if !path.to_string_lossy().ends_with(".safetensors") => None,
        (container, _) => Some(contents::list(path, container)?),
    };
    if let Some(contents) = &listed {
        let problems = spec.problems(contents);
        if !problems.is_empty() {
            bail!(
                "{} is not a valid {} (data-spec version {}):\n  {}",
                path.display(),
                spec.title,
                spec.version,
                problems.join("\n  ")
            );
        }
    }
    match kind {
        Kind::Scan | Kind::Sensorium => drop(read_scan(path)?),
        Kind::Truth => drop(simulation::read_truth(path)?),
        Kind::ImageSet => drop(read_labeled(path)?),
        Kind::Responses => drop(Responses::read(path)?),
        Kind::Similarity => drop(SimilarityMatrix::read(path)?),
        Kind::Pairs | Kind::Neighbors => {}
        Kind::Checkpoint => drop(ResNet::load(path)?),
        Kind::Results => drop(json::read::<Results>(path)?),
    }
    let count = listed.map_or(String::new(), |contents| format!(", {} entries checked", contents.len()));
    Ok(format!("{}: a valid {} (data-spec version {}{count})", path.display(), spec.title, spec.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hdf5_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        std::fs::write(&path, "hello").unwrap();
        let error = validate(&path).unwrap_err().to_string();
        assert!(error.contains("scan.h5") && error.contains("HDF5 signature"), "{error}");
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "hello").unwrap();
        assert!(validate(&path).unwrap_err().to_string().contains("of no known kind"));
    }

    #[test]
    fn results_are_checked_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        std::fs::write(&path, r#"{"format":"brainprior-results","version":"one"}"#).unwrap();
        let error = validate(&path).unwrap_err().to_string();
        assert!(error.contains("version: expected int, found string") && error.contains("networks: missing"), "{error}");
    }
}
