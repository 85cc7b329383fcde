//! Resolves names to datasets. A dataset is absent only if no link has its name; a dangling link is
//! an error.

use super::{Input, describe, refusal};
use crate::{FileError, Result};
use hdf5::{Dataset, LocationType};

impl Input {
    /// Whether the file has a dataset of this name.
    ///
    /// # Errors
    /// Returns [`FileError`] if a link is dangling, or if the name or a part of it leads to
    /// something other than a dataset or group, respectively.
    pub fn has(&self, name: &str) -> Result<bool> {
        self.find(name).map(|found| found.is_some())
    }

    /// The stored shape of a dataset; `None` if there is no such dataset.
    ///
    /// # Errors
    /// See [`Input::has`].
    pub fn shape(&self, name: &str) -> Result<Option<Vec<usize>>> {
        Ok(self.find(name)?.map(|dataset| dataset.shape()))
    }

    /// Whether MATLAB wrote a dataset. MATLAB stores axes in the reverse of the order it displays.
    ///
    /// # Errors
    /// See [`Input::has`].
    pub fn is_of_matlab(&self, name: &str) -> Result<bool> {
        Ok(self.find(name)?.is_some_and(|dataset| dataset.attr("MATLAB_class").is_ok()))
    }

    /// The dataset of this name, which may begin at the root, as h5py writes the names of virtual
    /// sources.
    pub(super) fn find(&self, name: &str) -> Result<Option<Dataset>> {
        let name = name.trim_start_matches('/');
        for (end, last) in
            name.match_indices('/').map(|(end, _)| (end, false)).chain([(name.len(), true)])
        {
            let part = &name[..end];
            if !self.file.link_exists(part) {
                return Ok(None);
            }
            let found = self
                .file
                .loc_info_by_name(part)
                .map_err(|cause| self.dangling(part, &cause))?
                .loc_type;
            let wanted = if last { LocationType::Dataset } else { LocationType::Group };
            if found != wanted {
                return Err(self.of_another_kind(part, wanted, found));
            }
        }
        self.file.dataset(name).map(Some).map_err(|cause| self.refused(name, &cause))
    }

    /// A dataset with `shape.len()` dimensions, whose sizes must match those that are `Some`, and
    /// whose data are all present.
    pub(super) fn dataset(&self, name: &str, shape: &[Option<usize>]) -> Result<Dataset> {
        let expected = format!("a dataset of shape {}", describe(shape));
        let Some(dataset) = self.find(name)? else {
            return Err(self.mismatch(
                name,
                expected,
                "none",
                "`cargo xtask inspect` lists the datasets of the file",
            ));
        };
        let found = dataset.shape();
        let fits =
            |(size, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|wanted| wanted == *size);
        if found.len() != shape.len() || !found.iter().zip(shape).all(fits) {
            let shape = describe(&found.into_iter().map(Some).collect::<Vec<_>>());
            let advice = match dataset.attr("MATLAB_class").is_ok() {
                true => {
                    "MATLAB stores axes in reverse: save permute(x, ndims(x):-1:1), or write the file with h5write"
                }
                false => "reshape it when you write the file",
            };
            return Err(self.mismatch(name, expected, format!("shape {shape}"), advice));
        }
        self.check_size(name, &dataset)?;
        self.check_storage(name, &dataset)?;
        Ok(dataset)
    }

    fn dangling(&self, name: &str, cause: &hdf5::Error) -> FileError {
        let found = format!("a dangling link ({})", refusal::of_link(cause));
        let advice =
            "restore the target of the link, or remove the link if the data are not needed";
        self.mismatch(name, "a dataset, or nothing of this name", found, advice)
    }

    fn of_another_kind(&self, name: &str, wanted: LocationType, found: LocationType) -> FileError {
        let describe = |kind| match kind {
            LocationType::Group => "a group".to_owned(),
            LocationType::Dataset => "a dataset".to_owned(),
            _ => "a named type".to_owned(),
        };
        let members = match self.file.group(name).and_then(|group| group.member_names()) {
            Ok(members) if found == LocationType::Group && !members.is_empty() => {
                format!(" that holds {}", members.join(", "))
            }
            _ => String::new(),
        };
        let found = describe(found) + &members;
        self.mismatch(
            name,
            describe(wanted),
            found,
            "write the data under this name, or rename this",
        )
    }
}
