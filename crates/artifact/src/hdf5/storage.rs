//! Checks that the data of a dataset are present. For missing data, HDF5 returns fill values,
//! usually zeros.

use super::own_link::is_own;
use super::sources::{beside_link, beside_raw, is_same};
use super::virtual_map::{Part, parts};
use super::{Input, refusal};
use crate::{FileError, Result};
use hdf5::Dataset;
use hdf5::plist::dataset_create::Layout;
use std::path::{Path, PathBuf};

const BRING_BACK: &str = "put that file back where it was, or write the data into this one";

/// How many levels of files with virtual sources are followed.
const DEEPEST: usize = 16;

impl Input {
    /// Checks that every filter can be decoded and every value was written.
    pub(super) fn check_storage(&self, name: &str, dataset: &Dataset) -> Result<()> {
        self.check(name, dataset, 0)
    }

    fn check(&self, name: &str, dataset: &Dataset, depth: usize) -> Result<()> {
        let properties = dataset.dcpl().map_err(|cause| self.refused(name, &cause))?;
        let filters = properties
            .get_filters()
            .map_err(|cause| refusal::filter_settings(&self.path, name, &cause))?;
        if let Some(missing) = filters.iter().find(|filter| !filter.is_available()) {
            return Err(refusal::missing_filter(&self.path, name, missing.id()));
        }
        let external = properties.get_external().map_err(|cause| self.refused(name, &cause))?;
        if !external.is_empty() {
            return external.iter().try_for_each(|segment| {
                self.check_raw(name, dataset, &segment.name, segment.offset, segment.size)
            });
        }
        match dataset.layout() {
            Layout::Virtual => {
                if depth == DEEPEST {
                    let found = format!("sources nested in other files more than {DEEPEST} times");
                    return Err(self.mismatch(
                        name,
                        "a source that holds data",
                        found,
                        "write the data into this file",
                    ));
                }
                let parts = parts(&properties).map_err(|cause| self.refused(name, &cause))?;
                parts.iter().try_for_each(|part| self.check_source(name, part, depth))?;
                match parts
                    .iter()
                    .try_fold(0usize, |covered, part| Some(covered.saturating_add(part.covers?)))
                {
                    Some(covered) if covered < dataset.size() => Err(self.never_written(
                        name,
                        format!("sources for {covered} of its {} values", dataset.size()),
                    )),
                    _ => Ok(()),
                }
            }
            Layout::Chunked => self.check_chunks(name, dataset),
            Layout::Contiguous if dataset.size() > 0 && dataset.offset().is_none() => {
                Err(self.never_written(name, format!("none of its {} values", dataset.size())))
            }
            _ => Ok(()),
        }
    }

    fn check_raw(
        &self,
        name: &str,
        dataset: &Dataset,
        file: &str,
        offset: usize,
        size: usize,
    ) -> Result<()> {
        let Some(path) = beside_raw(&self.path, file) else {
            let found = format!("{file:?}, which is missing");
            let advice = "run in the folder of that file, or set HDF5_EXTFILE_PREFIX='${ORIGIN}' if it is next to \
                          this one";
            return Err(self.mismatch(name, "data", found, advice));
        };
        let item = dataset.dtype().map_or(0, |dtype| dtype.size());
        let wanted = offset.saturating_add(size.min(dataset.size().saturating_mul(item)));
        let found = std::fs::metadata(&path).map_err(FileError::refused(&path, "read"))?.len();
        if found < wanted as u64 {
            let expected = format!("{wanted} bytes in {file:?}, which holds the data");
            return Err(self.mismatch(
                name,
                expected,
                format!("{found} bytes"),
                "that file is truncated: copy it again",
            ));
        }
        Ok(())
    }

    fn check_source(&self, name: &str, part: &Part, depth: usize) -> Result<()> {
        let Part { file, dataset: source, reaches, .. } = part;
        let gone = |found: String| {
            self.mismatch(name, "data", format!("a reference to {found}"), BRING_BACK)
        };
        // A pattern stands for any number of files or datasets; the shape reveals a missing one.
        if file.replace("%%", "").contains("%b") || source.replace("%%", "").contains("%b") {
            let Some(first) = first_of_pattern(&self.path, file) else {
                return Err(gone(format!("files {file:?}, of which the first is missing")));
            };
            return if is_same(&first, &self.path) {
                self.check_blocks(name, source)
            } else {
                Ok(())
            };
        }
        let (file, source) = (file.replace("%%", "%"), source.replace("%%", "%"));
        let opened;
        let input = if file == "." {
            self
        } else {
            let path = beside_link(&self.path, &file, "HDF5_VDS_PREFIX")
                .ok_or_else(|| gone(format!("{file:?}, which is missing")))?;
            opened = Input::open(&path)
                .map_err(|error| gone(format!("{file:?}, which cannot be opened ({error})")))?;
            &opened
        };
        let found = input.find(&source).map_err(|error| {
            gone(format!("{source} of {file:?}, which cannot be read ({error})"))
        })?;
        let dataset = found.ok_or_else(|| {
            gone(format!("{source} of {file:?}, which has no dataset of that name"))
        })?;
        if is_same(&input.path, &self.path) {
            self.check_own(name, &source, &dataset)?;
        }
        let shape = dataset.shape();
        if let Some(wanted) = reaches
            .as_ref()
            .filter(|wanted| shape.iter().zip(*wanted).any(|(size, wanted)| size < wanted))
        {
            let found = format!(
                "{source} of {file:?}, of which {wanted:?} values are needed but only {shape:?} exist"
            );
            return Err(gone(found));
        }
        input.check(&source, &dataset, depth + 1)
    }

    /// Checks every dataset of this file that matches a pattern; HDF5 counts up until there is
    /// none.
    fn check_blocks(&self, name: &str, pattern: &str) -> Result<()> {
        for block in 0usize.. {
            let source = pattern.replace("%b", &block.to_string()).replace("%%", "%");
            let Some(dataset) = self.find(&source)? else { break };
            self.check_own(name, &source, &dataset)?;
        }
        Ok(())
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

    fn check_chunks(&self, name: &str, dataset: &Dataset) -> Result<()> {
        let (Some(chunk), Some(written)) = (dataset.chunk(), dataset.num_chunks()) else {
            return Ok(());
        };
        let counts =
            dataset.shape().into_iter().zip(&chunk).map(|(size, chunk)| size.div_ceil(*chunk));
        let wanted = counts.fold(1usize, usize::saturating_mul);
        match written < wanted {
            true => Err(self.never_written(name, format!("{written} of its {wanted} chunks"))),
            false => Ok(()),
        }
    }

    fn never_written(&self, name: &str, found: String) -> FileError {
        self.mismatch(
            name,
            "complete data",
            format!("only {found} (HDF5 would read the rest as fill values)"),
            "write all of it, or shrink the dataset to the written part",
        )
    }
}

/// The first file of a pattern, in which `%b` stands for the block number.
fn first_of_pattern(beside: &Path, pattern: &str) -> Option<PathBuf> {
    if pattern == "." {
        return Some(beside.to_owned());
    }
    beside_link(beside, &pattern.replace("%b", "0").replace("%%", "%"), "HDF5_VDS_PREFIX")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let check = |source: &str| {
            input.check_own("responses", source, &input.find(source).unwrap().unwrap())
        };
        for source in ["block0", "/block0", "inside", "group/hard"] {
            check(source).unwrap();
        }
        for (source, file) in [
            ("block1", "other.h5"),
            ("soft", "other.h5"),
            ("back", "own.h5"),
            ("through/hard", "own.h5"),
        ] {
            let error = check(source).unwrap_err().to_string();
            assert!(
                ["responses", &format!("source {source} in this file"), file]
                    .iter()
                    .all(|part| error.contains(part)),
                "{error}"
            );
        }
        let error = input.check_blocks("responses", "block%b").unwrap_err().to_string();
        assert!(error.contains("source block1"), "{error}");
        input.check_blocks("responses", "other%b").unwrap();
    }

    /// h5py 3.16 names the source that it is given as a dataset from the root.
    #[test]
    fn a_source_named_from_the_root_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        file.create_group("raw").unwrap();
        file.new_dataset_builder().with_data(&[1f32, 2.0]).create("raw/values").unwrap();
        let two = hdf5::SimpleExtents::fixed([2]);
        let builder = file.new_dataset_builder();
        builder
            .virtual_map(".", "/raw/values", two.clone(), .., two, ..)
            .empty::<f32>()
            .shape(2)
            .create("responses")
            .unwrap();
        file.close().unwrap();
        let dataset = Input::open(&path).unwrap().dataset("responses", &[Some(2)]).unwrap();
        assert_eq!(dataset.read_raw::<f32>().unwrap(), [1.0, 2.0]);
    }
}
