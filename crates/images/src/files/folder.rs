//! Folders of pictures: `train/CLASS/*.png` and `test/CLASS/*.png`, or JPEG, as torchvision's
//! `ImageFolder` reads them.

use crate::picture::{Picture, is_picture};
use crate::{LabeledImages, LabeledSplit, Result};
use brainprior_artifact::FileError;
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// The two parts of a set.
const PARTS: [&str; 2] = ["train", "test"];

const ONE_SIZE: &str =
    "give all pictures one size, for example with `magick mogrify -resize 32x32!`";

/// Whether a folder has a subfolder of one of the parts.
pub(super) fn is_one(path: &Path) -> bool {
    PARTS.iter().any(|part| path.join(part).is_dir())
}

/// Reads a set. Classes are the subfolders of the training part, sorted by name, and so are the
/// images in each. If any picture has a color, all images get three channels.
pub(super) fn read(path: &Path) -> Result<LabeledSplit> {
    let classes = names(&path.join(PARTS[0]), true)?;
    if classes.is_empty() || classes.len() > 256 {
        let found = format!("{} folders", classes.len());
        return Err(FileError::mismatch(
            path,
            PARTS[0],
            "1 to 256 folders, one for each class",
            found,
            "create them",
        )
        .into());
    }
    let (mut labels, mut pictures) = ([vec![], vec![]], [vec![], vec![]]);
    for (place, part) in PARTS.into_iter().enumerate() {
        for class in names(&path.join(part), true)? {
            let Some(label) = classes.iter().position(|known| *known == class) else {
                let expected = format!("classes of training: {}", classes.join(", "));
                let advice = "give both parts the same classes";
                return Err(FileError::mismatch(
                    path,
                    format!("{part}/{class}"),
                    expected,
                    "another",
                    advice,
                )
                .into());
            };
            let folder = path.join(part).join(&class);
            let files: Vec<PathBuf> = names(&folder, false)?
                .iter()
                .filter(|name| is_picture(name))
                .map(|name| folder.join(name))
                .collect();
            if files.is_empty() {
                let advice = "add pictures, or remove the folder";
                return Err(FileError::mismatch(
                    &folder,
                    "pictures",
                    "PNG or JPEG files",
                    "none",
                    advice,
                )
                .into());
            }
            labels[place].extend(std::iter::repeat_n(label as u8, files.len()));
            let read = |file: &PathBuf| -> Result<(PathBuf, Picture)> {
                let bytes = super::read(file)?;
                Ok((file.clone(), Picture::decode(file, "picture", &bytes)?))
            };
            pictures[place].extend(files.par_iter().map(read).collect::<Result<Vec<_>>>()?);
        }
        if pictures[place].is_empty() {
            let advice = "a set has the folders train and test, each with one folder per class";
            return Err(
                FileError::mismatch(path, part, "folders of pictures", "none", advice).into()
            );
        }
    }
    let (first, Picture { height, width, .. }) = &pictures[0][0];
    let (height, width) = (*height, *width);
    let all = || pictures.iter().flatten();
    if let Some((file, other)) =
        all().find(|(_, picture)| (picture.height, picture.width) != (height, width))
    {
        let expected = format!("{height} x {width} pixels, like {}", first.display());
        return Err(FileError::mismatch(
            file,
            "picture",
            expected,
            format!("{} x {}", other.height, other.width),
            ONE_SIZE,
        )
        .into());
    }
    let channels = if all().any(|(_, picture)| picture.has_color()) { 3 } else { 1 };
    let area = height * width;
    let part = |pictures: &[(PathBuf, Picture)], labels: &[u8]| {
        let planes = |(_, picture): &(PathBuf, Picture)| match picture.channels {
            found if found >= channels => picture.pixels[..channels * area].to_vec(),
            _ => picture.pixels.repeat(channels),
        };
        let pixels = pictures.iter().flat_map(planes).collect();
        LabeledImages::new(channels, height, width, pixels, labels.to_vec(), classes.clone())
    };
    Ok(LabeledSplit {
        train: part(&pictures[0], &labels[0])?,
        test: part(&pictures[1], &labels[1])?,
    })
}

/// Names of the subfolders or files in a folder, sorted and without hidden ones.
fn names(folder: &Path, folders: bool) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let entries = entries.map_err(FileError::refused(folder, "list"))?;
    let mut names: Vec<String> = entries
        .iter()
        .filter(|entry| entry.path().is_dir() == folders)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names)
}
