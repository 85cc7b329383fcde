//! The two files of `export matrix`: a NumPy array and the identities of its images.

use super::contents::Contents;
use anyhow::Result;
use brainprior_artifact::npy::{Header, Npy, Values};
use brainprior_artifact::{Entry, FileError};
use std::path::{Path, PathBuf};

/// Enough of an array file to contain its header.
const HEADER: usize = 4096;
const BESIDE: &str = ".images.npy";

/// The matrix and the identities, if `path` is either of the two files.
pub(crate) fn both(path: &Path) -> Option<[PathBuf; 2]> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(BESIDE).or_else(|| name.strip_suffix(".npy"))?;
    let both = [
        path.with_file_name(format!("{stem}.npy")),
        path.with_file_name(format!("{stem}{BESIDE}")),
    ];
    both.iter().all(|file| file.is_file()).then_some(both)
}

/// Types and shapes of the two.
pub(crate) fn list(path: &Path) -> Result<Contents> {
    let names = ["values", "images"].map(str::to_owned);
    let files = both(path).unwrap_or_else(|| [path.to_owned(), path.with_extension("images.npy")]);
    let entry = |(name, file): (String, PathBuf)| {
        let bytes = std::fs::read(&file).map_err(FileError::refused(&file, "read"))?;
        let start = &bytes[..bytes.len().min(HEADER)];
        let header = Header::parse(start).map_err(|problem| problem.of(&file, "the array"))?;
        Ok((name, Entry { dtype: header.dtype(), shape: header.shape }))
    };
    names.into_iter().zip(files).map(entry).collect()
}

/// Reads both files.
///
/// # Errors
/// Returns an error if a file is truncated, or if the values are not a square of numbers from -1 to
/// 1 with one row per identity.
pub(crate) fn read(path: &Path) -> Result<()> {
    let [matrix, beside] =
        both(path).unwrap_or_else(|| [path.to_owned(), path.with_extension("images.npy")]);
    let parse = |file: &Path| -> Result<Npy> {
        let bytes = std::fs::read(file).map_err(FileError::refused(file, "read"))?;
        Ok(Npy::parse(&bytes).map_err(|problem| problem.of(file, "the array"))?)
    };
    let advice = "export the matrix again";
    let (found, ids) = (parse(&matrix)?, parse(&beside)?);
    let images = ids.shape.first().copied().unwrap_or(0);
    if !matches!(ids.values, Values::Strings(_)) || ids.shape != [images] {
        let found = format!("shape {:?}", ids.shape);
        return Err(FileError::mismatch(
            &beside,
            "the array",
            "the identity of each image, as text",
            found,
            advice,
        )
        .into());
    }
    let Values::Floats(values) = &found.values else {
        return Err(FileError::mismatch(&matrix, "the array", "f32", "another type", advice).into());
    };
    if found.shape != [images, images] {
        let expected = format!("{images} x {images}, as many as {} has images", beside.display());
        return Err(FileError::mismatch(
            &matrix,
            "the array",
            expected,
            format!("shape {:?}", found.shape),
            advice,
        )
        .into());
    }
    match values.iter().position(|value| !(-1.0..=1.0).contains(value)) {
        None => Ok(()),
        Some(place) => {
            let at = format!("row {}, column {}", place / images, place % images);
            Err(FileError::mismatch(
                &matrix,
                at,
                "a similarity from -1 to 1",
                values[place].to_string(),
                advice,
            )
            .into())
        }
    }
}
