//! Checks that the data of a dataset are present. For missing data, HDF5 returns fill values,
//! usually zeros.

use super::sources::{beside_raw, is_same};
use super::virtual_sources::{Below, Followed};
use super::{Input, refusal};
use crate::{FileError, Result};
use hdf5::Dataset;
use hdf5::plist::dataset_create::Layout;
use std::path::Path;

impl Input {
    /// Checks that every filter can be decoded and every value was written.
    pub(super) fn check_storage(&self, name: &str, dataset: &Dataset) -> Result<()> {
        let mut followed = Followed::default();
        self.check(name, dataset, &mut followed)?;
        self.check_open_files(name, followed.files())
    }

    pub(super) fn check(
        &self,
        name: &str,
        dataset: &Dataset,
        followed: &mut Followed,
    ) -> Result<Below> {
        // What a dataset refers to is named from its own file, to which an external link may lead.
        let file = dataset.filename();
        if !is_same(Path::new(&file), &self.path) {
            let inner = dataset.name();
            let check = |input: Self| input.check(inner.trim_start_matches('/'), dataset, followed);
            return Self::open(Path::new(&file)).and_then(check).map_err(|error| {
                let found = format!("a link to what cannot be used ({error})");
                self.mismatch(
                    name,
                    "data",
                    found,
                    "mend that file, or write the data into this one",
                )
            });
        }
        let properties = dataset.dcpl().map_err(|cause| self.refused(name, &cause))?;
        let filters = properties
            .get_filters()
            .map_err(|cause| refusal::filter_settings(&self.path, name, &cause))?;
        if let Some(missing) = filters.iter().find(|filter| !filter.is_available()) {
            return Err(refusal::missing_filter(&self.path, name, missing.id()));
        }
        let external = properties.get_external().map_err(|cause| self.refused(name, &cause))?;
        if !external.is_empty() {
            let item = dataset.dtype().map_or(0, |dtype| dtype.size());
            let mut left = dataset.size().saturating_mul(item);
            for segment in &external {
                // The crate gives an unlimited size as 0, and the last size may exceed the data.
                let size = if segment.size == 0 { left } else { segment.size.min(left) };
                self.check_raw(name, &segment.name, segment.offset, size)?;
                left -= size;
            }
            return Ok(Below::default());
        }
        match dataset.layout() {
            Layout::Virtual => return self.check_virtual(name, dataset, &properties, followed),
            Layout::Chunked => self.check_chunks(name, dataset)?,
            Layout::Contiguous if dataset.size() > 0 && dataset.offset().is_none() => {
                let found = format!("none of its {} values", dataset.size());
                return Err(self.never_written(name, found));
            }
            _ => {}
        }
        Ok(Below::default())
    }

    fn check_raw(&self, name: &str, file: &str, offset: usize, size: usize) -> Result<()> {
        let Some(path) = beside_raw(&self.path, file) else {
            let found = format!("{file:?}, which is missing");
            let advice = "run in the folder of that file, or set HDF5_EXTFILE_PREFIX='${ORIGIN}' if it is next to \
                          this one";
            return Err(self.mismatch(name, "data", found, advice));
        };
        let wanted = offset.saturating_add(size);
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

    pub(super) fn never_written(&self, name: &str, found: String) -> FileError {
        self.mismatch(
            name,
            "complete data",
            format!("only {found} (HDF5 would read the rest as fill values)"),
            "write all of it, or shrink the dataset to the written part",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Raw files of these numbers of bytes, and the sizes of their segments; 0 is unlimited.
    fn read(files: &[(usize, usize)]) -> Result<Vec<f32>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        let mut builder = file.new_dataset_builder();
        for (number, (bytes, size)) in files.iter().enumerate() {
            let raw = folder.path().join(format!("{number}.raw"));
            std::fs::write(&raw, vec![0u8; *bytes]).unwrap();
            builder = builder.external(raw.to_str().unwrap(), 0, *size);
        }
        builder.empty::<f32>().shape(3).create("responses").unwrap();
        file.close().unwrap();
        let dataset = Input::open(&path)?.dataset("responses", &[Some(3)])?;
        Ok(dataset.read_raw().unwrap())
    }

    #[test]
    fn raw_files_hold_what_is_left_to_read() {
        // The last segment may be larger than the data, or unlimited.
        for files in [&[(8, 8), (4, 100)][..], &[(12, 100)], &[(12, 0)], &[(8, 8), (4, 0)]] {
            assert_eq!(read(files).unwrap(), [0.0; 3], "{files:?}");
        }
        for (files, expected, found) in [
            (&[(11, 0)][..], "12 bytes", "11 bytes"),
            (&[(8, 8), (3, 0)], "4 bytes", "3 bytes"),
            (&[(8, 8), (3, 100)], "4 bytes", "3 bytes"),
            (&[(7, 8), (4, 4)], "8 bytes", "7 bytes"),
        ] {
            let error = read(files).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(found), "{error}");
        }
    }
}
