//! Pictures in a folder or a zip archive.

use super::{Pixels, Stored};
use crate::Result;
use crate::import::Account;
use brainprior_artifact::FileError;
use brainprior_artifact::unpacked::Budget;
use brainprior_images::{Picture, by_number, is_picture};
use rayon::prelude::*;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// The names in a folder or zip archive; `None` for any other file.
pub(in crate::import) fn pictures_in(path: &Path) -> Result<Option<Vec<String>>> {
    if path.is_dir() {
        let listed = std::fs::read_dir(path).map_err(FileError::refused(path, "list"))?;
        let names = listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        return Ok(Some(
            names.collect::<std::io::Result<_>>().map_err(FileError::refused(path, "list"))?,
        ));
    }
    let mut start = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read(&mut start));
    read.map_err(FileError::refused(path, "read"))?;
    // A NumPy archive is a zip file, too.
    if start != *b"PK" || path.extension().is_some_and(|ending| ending == "npz") {
        return Ok(None);
    }
    let archive = archive(path)?;
    Ok(Some(
        archive
            .file_names()
            .filter_map(|name| Some(name.ok()?.into_owned()))
            .filter(|name| !name.ends_with('/'))
            .collect(),
    ))
}

fn archive(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(FileError::refused(path, "open"))?;
    let opened = ZipArchive::new(BufReader::new(file));
    let advice = "it may be truncated: copy it again";
    Ok(opened
        .map_err(|error| FileError::refused(path, "open as a zip archive")(error).advise(advice))?)
}

/// Reads the pictures among files with these names, in natural order; returns their names.
pub(in crate::import) fn of_files(
    path: &Path,
    names: Vec<String>,
    account: &mut Account,
) -> Result<(Stored, Vec<String>)> {
    let (mut names, others): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| is_picture(name));
    names.sort_by(|left, right| by_number(left, right));
    let others: Vec<String> = others
        .into_iter()
        .filter(|name| !name.starts_with('.') && !name.starts_with("__MACOSX/"))
        .collect();
    let (Some(first), Some(last)) = (names.first(), names.last()) else {
        return Err(FileError::mismatch(
            path,
            "pictures",
            "PNG or JPEG files",
            "none",
            "give the folder that contains them",
        )
        .into());
    };
    if !others.is_empty() {
        let shown: Vec<&str> = others.iter().take(3).map(String::as_str).collect();
        account.dropped_as(format!(
            "{} files that are not PNG or JPEG: {}",
            others.len(),
            shown.join(", ")
        ));
    }
    let files: Vec<Vec<u8>> = if path.is_dir() {
        let read = |name: &String| {
            std::fs::read(path.join(name)).map_err(FileError::refused(&path.join(name), "read"))
        };
        names.iter().map(read).collect::<std::result::Result<_, _>>()?
    } else {
        let mut archive = archive(path)?;
        let mut budget =
            Budget::of(std::fs::metadata(path).map_err(FileError::refused(path, "read"))?.len());
        let mut member = |name: &String| {
            let read = archive
                .by_name(name)
                .map_err(std::io::Error::from)
                .and_then(|file| budget.read(file));
            read.map_err(|error| FileError::refused(path, "unpack")(error).in_dataset(name))
        };
        names.iter().map(&mut member).collect::<std::result::Result<_, _>>()?
    };
    let decode = |(name, bytes): (&String, &Vec<u8>)| Picture::decode(path, name, bytes);
    let pictures: Vec<Picture> =
        names.par_iter().zip(&files).map(decode).collect::<std::result::Result<_, _>>()?;
    let Picture { height, width, .. } = pictures[0];
    if let Some(place) =
        pictures.iter().position(|picture| (picture.height, picture.width) != (height, width))
    {
        let found = format!("{} x {}", pictures[place].height, pictures[place].width);
        let expected = format!("{height} x {width} pixels, like {first}");
        return Err(FileError::mismatch(
            path,
            &names[place],
            expected,
            found,
            "give all pictures one size",
        )
        .into());
    }
    let colored = pictures.iter().filter(|picture| picture.has_color()).count();
    account.took(format!(
        "images from {}: {} pictures of {height} x {width}, {colored} of them in color, {first} to {last}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        pictures.len()
    ));
    // Grayscale pictures saved in color become grayscale again, so that all have the same number of
    // channels.
    let channels = if colored > 0 { 3 } else { 1 };
    let planes = |picture: &Picture| match picture.channels {
        found if found >= channels => picture.pixels[..channels * height * width].to_vec(),
        _ => picture.pixels.repeat(channels),
    };
    let pixels = pictures.iter().flat_map(planes).collect();
    Ok((
        Stored { shape: [pictures.len(), channels, height, width], pixels: Pixels::Bytes(pixels) },
        names,
    ))
}
