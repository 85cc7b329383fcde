//! Checks the sources of virtual datasets, and of sources that are virtual themselves.

use super::Input;
use super::own_link::is_own;
use super::sources::{beside_link, canonical, is_pattern, of_block};
use super::virtual_map::{Part, parts};
use crate::{FileError, Result};
use hdf5::Dataset;
use hdf5::plist::DatasetCreate;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const BRING_BACK: &str = "put that file back where it was, or write the data into this one";
const WRITE_HERE: &str = "write the data into this file";

/// How many levels of virtual sources are followed.
const DEEPEST: usize = 16;
/// How many sources HDF5 may read for one virtual dataset whose sources are virtual, too. Without a
/// limit, a small file could take it years: sources that are used twice double in every level.
const MOST_READS: usize = 1_000_000;

/// A dataset: the file, and its name without a leading slash.
type Place = (PathBuf, String);

/// The virtual datasets that a check has met.
#[derive(Default)]
pub(super) struct Followed {
    /// Those whose sources are being checked, from the outermost.
    open: Vec<Place>,
    /// Finished sources, and whether they were checked for a virtual dataset of the same file.
    known: HashMap<(Place, bool), Known>,
}

#[derive(Clone)]
struct Known {
    shape: Vec<usize>,
    below: Below,
}

/// What HDF5 follows to read a dataset.
#[derive(Clone, Copy, Default)]
pub(super) struct Below {
    /// Levels of virtual datasets; 0 if the dataset is not virtual.
    levels: usize,
    /// How many sources are read in all levels.
    reads: usize,
}

impl Below {
    fn add(&mut self, source: Self) {
        self.levels = self.levels.max(source.levels);
        self.reads = self.reads.saturating_add(source.reads).saturating_add(1);
    }
}

impl Input {
    /// Checks that the sources of a virtual dataset exist, hold data and cover it.
    pub(super) fn check_virtual(
        &self,
        name: &str,
        dataset: &Dataset,
        properties: &DatasetCreate,
        followed: &mut Followed,
    ) -> Result<Below> {
        if followed.open.len() == DEEPEST {
            return Err(self.too_deep(name));
        }
        let here = canonical(&self.path);
        followed.open.push(place(&here, name));
        let parts = parts(properties).map_err(|cause| self.refused(name, &cause))?;
        let mut below = Below::default();
        for part in &parts {
            self.check_part(name, part, &here, followed, &mut below)?;
        }
        below.levels += 1;
        followed.open.pop();
        if below.levels > 1 && below.reads > MOST_READS {
            let found = format!("virtual sources that lead to {} reads", below.reads);
            return Err(self.mismatch(name, format!("at most {MOST_READS}"), found, WRITE_HERE));
        }
        match parts
            .iter()
            .try_fold(0usize, |covered, part| Some(covered.saturating_add(part.covers?)))
        {
            Some(covered) if covered < dataset.size() => {
                let found = format!("sources for {covered} of its {} values", dataset.size());
                Err(self.never_written(name, found))
            }
            _ => Ok(below),
        }
    }

    /// Checks the source of a part. A pattern stands for any number of files or datasets: HDF5
    /// counts up until one is missing, which the shape reveals.
    fn check_part(
        &self,
        name: &str,
        part: &Part,
        here: &Path,
        followed: &mut Followed,
        below: &mut Below,
    ) -> Result<()> {
        let several = is_pattern(&part.file) || is_pattern(&part.dataset);
        for block in 0usize.. {
            let (file, source) = (of_block(&part.file, block), of_block(&part.dataset, block));
            let path = match part.file.as_str() {
                "." => Some(self.path.clone()),
                _ => beside_link(&self.path, &file, "HDF5_VDS_PREFIX"),
            };
            let Some(path) = path else {
                return match block {
                    0 if several => {
                        let pattern = &part.file;
                        Err(self.gone(
                            name,
                            format!("files {pattern:?}, of which the first is missing"),
                        ))
                    }
                    0 => Err(self.gone(name, format!("{file:?}, which is missing"))),
                    _ => Ok(()),
                };
            };
            let found = self.check_source(name, &path, &source, here, followed)?;
            let Some(Known { shape, below: source_below }) = found else {
                let none = format!("{source} of {file:?}, which has no dataset of that name");
                return if several { Ok(()) } else { Err(self.gone(name, none)) };
            };
            if followed.open.len() + source_below.levels > DEEPEST {
                return Err(self.too_deep(name));
            }
            let wanted = part.reaches.as_ref();
            if let Some(wanted) = wanted
                .filter(|wanted| shape.iter().zip(*wanted).any(|(size, wanted)| size < wanted))
            {
                let found = format!(
                    "{source} of {file:?}, of which {wanted:?} values are needed but only {shape:?} exist"
                );
                return Err(self.gone(name, found));
            }
            below.add(source_below);
            if !several {
                break;
            }
        }
        Ok(())
    }

    /// Checks the dataset `source` of the file at `path`; `None` if there is none.
    fn check_source(
        &self,
        name: &str,
        path: &Path,
        source: &str,
        here: &Path,
        followed: &mut Followed,
    ) -> Result<Option<Known>> {
        let file = canonical(path);
        let own = file == here;
        let key = (place(&file, source), own);
        if let Some(known) = followed.known.get(&key) {
            return Ok(Some(known.clone()));
        }
        if followed.open.contains(&key.0) {
            let found = format!("a virtual dataset that leads back to {source}");
            return Err(self.mismatch(name, "a source that holds data", found, WRITE_HERE));
        }
        let opened;
        let input = if own {
            self
        } else {
            opened = Self::open(path).map_err(|error| {
                self.gone(name, format!("{}, which cannot be opened ({error})", path.display()))
            })?;
            &opened
        };
        let found = input.find(source).map_err(|error| {
            let path = path.display();
            self.gone(name, format!("{source} of {path}, which cannot be read ({error})"))
        })?;
        let Some(dataset) = found else { return Ok(None) };
        if own {
            self.check_own(name, source, &dataset)?;
        }
        let below = input.check(source, &dataset, followed)?;
        let known = Known { shape: dataset.shape(), below };
        followed.known.insert(key, known.clone());
        Ok(Some(known))
    }

    /// Checks that a source in the file of the virtual dataset is really in that file. If an
    /// external link leads from there into another file, or back into this one, HDF5 2.2.0 can crash
    /// when it reads the virtual dataset.
    fn check_own(&self, name: &str, source: &str, dataset: &Dataset) -> Result<()> {
        if is_own(&self.file, source).map_err(|cause| self.refused(name, &cause))? {
            return Ok(());
        }
        let found = PathBuf::from(dataset.filename());
        Err(self.mismatch(
            name,
            format!("its source {source} in this file"),
            format!(
                "an external link from there to {}, from which HDF5 cannot read virtual data safely",
                found.display()
            ),
            "name that file as the source of the virtual dataset, or write the data into this one",
        ))
    }

    fn gone(&self, name: &str, found: String) -> FileError {
        self.mismatch(name, "data", format!("a reference to {found}"), BRING_BACK)
    }

    fn too_deep(&self, name: &str) -> FileError {
        let found = format!("virtual sources of virtual sources, in more than {DEEPEST} levels");
        self.mismatch(name, "a source that holds data", found, WRITE_HERE)
    }
}

fn place(file: &Path, name: &str) -> Place {
    (file.to_owned(), name.trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5::SimpleExtents;

    fn part(source: &str) -> Part {
        Part { file: ".".to_owned(), dataset: source.to_owned(), covers: None, reaches: None }
    }

    fn check(input: &Input, source: &str, followed: &mut Followed) -> Result<Below> {
        let mut below = Below::default();
        let here = canonical(&input.path);
        input.check_part("responses", &part(source), &here, followed, &mut below).map(|()| below)
    }

    /// A virtual dataset of two values.
    fn add_virtual(file: &hdf5::File, name: &str, source: &str) {
        let two = SimpleExtents::fixed([2]);
        let builder = file.new_dataset_builder();
        let builder = builder.virtual_map(".", source, two.clone(), .., two, ..);
        builder.empty::<f32>().shape(2).create(name).unwrap();
    }

    /// Reading such a source through a virtual dataset can crash the process, so only the check is
    /// tested.
    #[test]
    fn a_source_behind_an_external_link_is_not_of_this_file() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["own.h5", "other.h5"].map(|name| folder.path().join(name));
        for (path, name) in [(&path, "block0"), (&other, "far")] {
            let file = hdf5::File::create(path).unwrap();
            file.new_dataset_builder().with_data(&[1f32, 2.0]).create(name).unwrap();
        }
        let file = hdf5::File::open_rw(&path).unwrap();
        file.link_external("other.h5", "/far", "block1").unwrap();
        file.link_soft("/block1", "soft").unwrap();
        file.link_soft("/block0", "inside").unwrap();
        file.create_group("group").unwrap();
        file.link_hard("/block0", "group/hard").unwrap();
        file.link_external("own.h5", "/block0", "back").unwrap();
        file.link_external("own.h5", "/group", "through").unwrap();
        file.close().unwrap();

        let input = Input::open(&path).unwrap();
        for source in ["block0", "/block0", "inside", "group/hard", "other%b"] {
            check(&input, source, &mut Followed::default()).unwrap();
        }
        for (source, named, file) in [
            ("block1", "block1", "other.h5"),
            ("soft", "soft", "other.h5"),
            ("back", "back", "own.h5"),
            ("through/hard", "through/hard", "own.h5"),
            ("block%b", "block1", "other.h5"),
        ] {
            let error = check(&input, source, &mut Followed::default()).err().unwrap().to_string();
            assert!(
                ["responses", &format!("source {named} in this file"), file]
                    .iter()
                    .all(|part| error.contains(part)),
                "{error}"
            );
        }
    }

    /// h5py 3.16 names the source that it is given as a dataset from the root.
    #[test]
    fn a_source_named_from_the_root_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        file.create_group("raw").unwrap();
        file.new_dataset_builder().with_data(&[1f32, 2.0]).create("raw/values").unwrap();
        add_virtual(&file, "responses", "/raw/values");
        file.close().unwrap();
        let dataset = Input::open(&path).unwrap().dataset("responses", &[Some(2)]).unwrap();
        assert_eq!(dataset.read_raw::<f32>().unwrap(), [1.0, 2.0]);
    }

    /// A main file links to virtual data of a session in another folder, whose sources are named
    /// from there.
    #[test]
    fn virtual_data_behind_an_external_link_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("session")).unwrap();
        let session = hdf5::File::create(folder.path().join("session/scan.h5")).unwrap();
        session.new_dataset_builder().with_data(&[1f32, 2.0]).create("raw").unwrap();
        add_virtual(&session, "responses", "raw");
        add_virtual(&session, "lost", "nowhere");
        session.close().unwrap();
        let path = folder.path().join("main.h5");
        let file = hdf5::File::create(&path).unwrap();
        file.link_external("session/scan.h5", "/responses", "responses").unwrap();
        file.link_external("session/scan.h5", "/lost", "lost").unwrap();
        file.close().unwrap();

        let input = Input::open(&path).unwrap();
        let dataset = input.dataset("responses", &[Some(2)]).unwrap();
        assert_eq!(dataset.read_raw::<f32>().unwrap(), [1.0, 2.0]);
        let error = input.dataset("lost", &[Some(2)]).unwrap_err().to_string();
        assert!(error.contains("scan.h5: lost") && error.contains("nowhere"), "{error}");
    }

    /// HDF5 2.2.0 follows virtual data that lead back to themselves until its stack ends, so no
    /// such file is made here: the checks meet what would be one.
    #[test]
    fn sources_of_sources_end_somewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        file.new_dataset_builder().with_data(&[1f32, 2.0]).create("level0").unwrap();
        for level in 0..=DEEPEST {
            add_virtual(&file, &format!("level{}", level + 1), &format!("level{level}"));
        }
        file.close().unwrap();
        let input = Input::open(&path).unwrap();
        let deepest = input.dataset(&format!("level{DEEPEST}"), &[Some(2)]).unwrap();
        assert_eq!(deepest.read_raw::<f32>().unwrap(), [1.0, 2.0]);
        let deeper = format!("level{}", DEEPEST + 1);
        // Once with sources met from the deepest, and once with all others known before.
        let all = check(&input, "level%b", &mut Followed::default()).err();
        for error in [input.dataset(&deeper, &[Some(2)]).err(), all] {
            let error = error.unwrap().to_string();
            assert!(error.contains("more than 16 levels"), "{error}");
        }

        let here = canonical(&path);
        let mut followed = Followed { open: vec![place(&here, "level2")], ..Default::default() };
        for source in ["level2", "/level2"] {
            let error = check(&input, source, &mut followed).err().unwrap().to_string();
            assert!(error.contains("leads back to") && error.contains("level2"), "{error}");
        }
        let dataset = input.find("level2").unwrap().unwrap();
        let known = Known { shape: vec![2], below: Below { levels: 1, reads: MOST_READS } };
        let mut followed = Followed::default();
        followed.known.insert((place(&here, "level1"), true), known);
        let error = input.check("level2", &dataset, &mut followed).err().unwrap().to_string();
        assert!(error.contains("level2") && error.contains("1000001 reads"), "{error}");
    }
}
