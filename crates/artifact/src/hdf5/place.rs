//! From a name to a dataset. Absent is what no link names; a link that leads nowhere is an error.

use super::{Input, describe, refusal};
use crate::{FileError, Result};
use hdf5::{Dataset, LocationType};

impl Input {
    /// Whether the file has something of that name; a dataset, or an error.
    ///
    /// # Errors
    /// A link to what is not there; a group or a type in the place of a dataset, or a dataset in the place of a group.
    pub fn has(&self, name: &str) -> Result<bool> {
        self.find(name).map(|found| found.is_some())
    }

    /// Sizes of the dimensions of a dataset as they are stored; `None` where there is no such dataset.
    ///
    /// # Errors
    /// As [`Input::has`].
    pub fn shape(&self, name: &str) -> Result<Option<Vec<usize>>> {
        Ok(self.find(name)?.map(|dataset| dataset.shape()))
    }

    /// Whether MATLAB wrote a dataset, which stores axes in the reverse of the order in which it shows them.
    ///
    /// # Errors
    /// As [`Input::has`].
    pub fn is_of_matlab(&self, name: &str) -> Result<bool> {
        Ok(self.find(name)?.is_some_and(|dataset| dataset.attr("MATLAB_class").is_ok()))
    }

    pub(super) fn find(&self, name: &str) -> Result<Option<Dataset>> {
        for (end, last) in name.match_indices('/').map(|(end, _)| (end, false)).chain([(name.len(), true)]) {
            let part = &name[..end];
            if !self.file.link_exists(part) {
                return Ok(None);
            }
            let found = self.file.loc_info_by_name(part).map_err(|cause| self.dangling(part, &cause))?.loc_type;
            let wanted = if last { LocationType::Dataset } else { LocationType::Group };
            if found != wanted {
                return Err(self.of_another_kind(part, wanted, found));
            }
        }
        self.file.dataset(name).map(Some).map_err(|cause| self.refused(name, &cause))
    }

    /// A dataset of `shape.len()` dimensions, of which those given must match, with all its data in reach.
    pub(super) fn dataset(&self, name: &str, shape: &[Option<usize>]) -> Result<Dataset> {
        let expected = format!("a dataset of shape {}", describe(shape));
        let Some(dataset) = self.find(name)? else {
            return Err(self.mismatch(name, expected, "none", "list the datasets of the file with `h5ls -r`"));
        };
        let found = dataset.shape();
        let fits = |(size, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|wanted| wanted == *size);
        if found.len() != shape.len() || !found.iter().zip(shape).all(fits) {
            let shape = describe(&found.into_iter().map(Some).collect::<Vec<_>>());
            let advice = match dataset.attr("MATLAB_class").is_ok() {
                true => "MATLAB stores axes in reverse: save permute(x, ndims(x):-1:1), or write the file with h5write",
                false => "reshape it when the file is made",
            };
            return Err(self.mismatch(name, expected, format!("shape {shape}"), advice));
        }
        self.check_size(name, &dataset)?;
        self.check_storage(name, &dataset)?;
        Ok(dataset)
    }

    fn dangling(&self, name: &str, cause: &hdf5::Error) -> FileError {
        let found = format!("a link that leads nowhere ({})", refusal::of_link(cause));
        let advice = "bring back what it leads to, or remove the link where the data are not meant to be there";
        self.mismatch(name, "data, or no such name", found, advice)
    }

    fn of_another_kind(&self, name: &str, wanted: LocationType, found: LocationType) -> FileError {
        let describe = |kind| match kind {
            LocationType::Group => "a group".to_owned(),
            LocationType::Dataset => "a dataset".to_owned(),
            _ => "a named type".to_owned(),
        };
        let members = match self.file.group(name).and_then(|group| group.member_names()) {
            Ok(members) if found == LocationType::Group && !members.is_empty() => format!(" that holds {}", members.join(", ")),
            _ => String::new(),
        };
        let found = describe(found) + &members;
        self.mismatch(name, describe(wanted), found, "give the data that name when the file is made, or rename this")
    }
}
