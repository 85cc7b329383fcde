//! Finds the other files that hold data of a file.

use super::Input;
use super::list::{Member, members};
use super::virtual_map::parts;
use crate::Result;
use hdf5::plist::dataset_create::Layout;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// All files other than `path` that hold data of the HDF5 file `path`: targets of external links,
/// sources of virtual datasets, files of raw data, and the files these refer to in turn. Missing
/// files are left out.
///
/// # Errors
/// Returns [`FileError`](crate::FileError) if the file itself cannot be opened.
pub fn sources(path: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (BTreeSet::new(), vec![path.to_owned()]);
    let own = canonical(path);
    while let Some(next) = open.pop() {
        // Whether a source can be read is for those to say who read it.
        let found_there = match of_file(&next) {
            Err(error) if next == path => return Err(error),
            found => found.unwrap_or_default(),
        };
        for source in found_there {
            let is_new = canonical(&source) != own && found.insert(source.clone());
            if is_new && crate::is_hdf5(&source)? {
                open.push(source);
            }
        }
    }
    Ok(found.into_iter().collect())
}

fn of_file(path: &Path) -> Result<Vec<PathBuf>> {
    let input = Input::open(path)?;
    let mut found = vec![];
    for (_, member) in members(&input)? {
        let Member::Dataset(dataset) = member else { continue };
        // An external link points into another file, whose own sources are searched for next to it.
        let file = PathBuf::from(dataset.filename());
        if !is_same(&file, path) {
            found.push(file.clone());
        }
        let Ok(properties) = dataset.dcpl() else { continue };
        found.extend(
            properties.external().iter().filter_map(|segment| beside_raw(&file, &segment.name)),
        );
        if dataset.layout() == Layout::Virtual {
            let parts = parts(&properties).unwrap_or_default();
            found.extend(parts.iter().flat_map(|part| files_of(&file, &part.file)));
        }
    }
    Ok(found)
}

/// The files of one source of a virtual dataset: a single file, or all that match a pattern.
fn files_of(beside: &Path, name: &str) -> Vec<PathBuf> {
    let find = |block| beside_link(beside, &of_block(name, block), "HDF5_VDS_PREFIX");
    match name {
        "." => vec![],
        _ if is_pattern(name) => (0..).map_while(find).collect(),
        _ => find(0).into_iter().collect(),
    }
}

/// Whether the name of a source stands for one file or dataset for each block: `%b` is the number
/// of the block, and `%%` a percent sign.
pub(super) fn is_pattern(name: &str) -> bool {
    name.split("%%").any(|piece| piece.contains("%b"))
}

/// The name of the source of a block.
pub(super) fn of_block(name: &str, block: usize) -> String {
    let number = block.to_string();
    let pieces: Vec<String> = name.split("%%").map(|piece| piece.replace("%b", &number)).collect();
    pieces.join("%")
}

/// Where HDF5 finds the file that a link or a virtual dataset in `beside` names, in HDF5's search
/// order; `None` if it is missing.
pub(super) fn beside_link(beside: &Path, name: &str, prefixes: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    let mut places = vec![];
    let relative = if name.is_absolute() {
        places.push(name.to_owned());
        Path::new(name.file_name()?)
    } else {
        name
    };
    let variable = std::env::var(prefixes).unwrap_or_default();
    // Only the variable of virtual datasets may name the folder of the file.
    let origin = from_origin(beside, &variable).filter(|_| prefixes == "HDF5_VDS_PREFIX");
    places.extend(origin.map(|folder| folder.join(relative)));
    places.extend(
        variable
            .split(':')
            .filter(|prefix| !prefix.is_empty())
            .map(|prefix| Path::new(prefix).join(relative)),
    );
    places.extend(beside.parent().map(|folder| folder.join(relative)));
    places.push(relative.to_owned());
    places.extend(canonical(beside).parent().map(|folder| folder.join(relative)));
    places.into_iter().find(|place| place.is_file())
}

/// Where HDF5 finds a file of raw data: in the current folder, or where an environment variable
/// points.
pub(super) fn beside_raw(beside: &Path, name: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    let prefix = std::env::var("HDF5_EXTFILE_PREFIX").unwrap_or_default();
    let place = match from_origin(beside, &prefix) {
        _ if name.is_absolute() || prefix.is_empty() => name.to_owned(),
        Some(folder) => folder.join(name),
        None => Path::new(&prefix).join(name),
    };
    place.is_file().then_some(place)
}

/// The folder that a variable names relative to that of the file, with `${ORIGIN}`.
fn from_origin(beside: &Path, variable: &str) -> Option<PathBuf> {
    let rest = variable.strip_prefix("${ORIGIN}")?;
    Some(canonical(beside).parent()?.join(rest.trim_start_matches('/')))
}

/// Whether two paths lead to one file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    canonical(one) == canonical(other)
}

pub(super) fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A virtual dataset that nobody reads does not keep the file from being used.
    #[test]
    fn a_source_that_cannot_be_opened_is_still_a_source() {
        let folder = tempfile::tempdir().unwrap();
        let [path, broken] = ["scan.h5", "broken.h5"].map(|name| folder.path().join(name));
        std::fs::write(&broken, b"\x89HDF\r\n\x1a\n and nothing of use").unwrap();
        let file = hdf5::File::create(&path).unwrap();
        let two = hdf5::SimpleExtents::fixed([2]);
        let builder = file.new_dataset_builder();
        let builder = builder.virtual_map("broken.h5", "r", two.clone(), .., two, ..);
        builder.empty::<f32>().shape(2).create("notes").unwrap();
        file.close().unwrap();
        assert_eq!(sources(&path).unwrap(), std::slice::from_ref(&broken));
        assert!(sources(&broken).is_err());
    }
}
