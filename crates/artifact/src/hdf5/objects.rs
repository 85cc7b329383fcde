//! Finds groups and datasets by an attribute, and resolves links and references.

use super::list::{Member, members};
use super::{Input, refusal};
use crate::{FileError, Result};
use hdf5::types::{Reference, TypeDescriptor};
use hdf5::{Location, LocationInfo, ObjectReference1, ReferencedObject};

/// A group or dataset.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its path from the root, without a leading slash.
    pub path: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The value of the attribute; empty if there is none.
    pub kind: String,
    info: LocationInfo,
}

/// All groups of a file, each once under its shortest name, and all datasets under each of their
/// names.
#[derive(Clone, Debug)]
pub struct Objects(Vec<Object>);

impl Object {
    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The path of its parent group.
    pub fn parent(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(parent, _)| parent)
    }
}

impl Objects {
    /// Lists the objects of a file; the attribute `kind` gives their kinds.
    ///
    /// # Errors
    /// Returns [`FileError`] if a group cannot be listed or an attribute of that name is not a
    /// string.
    pub fn of(input: &Input, kind: &str) -> Result<Self> {
        let mut objects = vec![];
        for (path, member) in members(input)? {
            let (owner, is_group): (&Location, bool) = match &member {
                Member::Group(group) => (group, true),
                Member::Dataset(dataset) => (dataset, false),
                Member::Again(_) | Member::Dangling => continue,
            };
            let info = owner.loc_info().map_err(|cause| input.refused(&path, &cause))?;
            let kind = input.text_if_any(owner, &path, kind)?.unwrap_or_default();
            objects.push(Object { path, is_group, kind, info });
        }
        Ok(Self(objects))
    }

    /// All objects.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.0.iter()
    }

    /// The object at a path.
    pub fn get(&self, path: &str) -> Option<&Object> {
        self.0.iter().find(|object| object.path == path)
    }

    /// The members of a group.
    pub fn within<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Object> {
        self.0.iter().filter(move |object| object.parent() == group)
    }

    /// The object a path leads to through any links; `None` if there is no such path.
    ///
    /// # Errors
    /// Returns [`FileError`] if a link is dangling.
    pub fn behind(&self, input: &Input, path: &str) -> Result<Option<&Object>> {
        if !path
            .match_indices('/')
            .map(|(end, _)| end)
            .chain([path.len()])
            .all(|end| input.file.link_exists(&path[..end]))
        {
            return Ok(None);
        }
        let info = input.file.loc_info_by_name(path).map_err(|cause| {
            let found = format!("a dangling link ({})", refusal::of_link(&cause));
            input.mismatch(path, "the target of a link", found, "restore the target of the link")
        })?;
        Ok(self.at(&info))
    }

    /// The objects that the references in a dataset point to.
    ///
    /// # Errors
    /// Returns [`FileError`] if the dataset holds no references or one points to nothing.
    pub fn referred(&self, input: &Input, dataset: &str) -> Result<Vec<&Object>> {
        let Some(found) = input.find(dataset)? else {
            return Err(input.mismatch(dataset, "references", "none", "write the file again"));
        };
        let references = match input.descriptor(dataset, &found)? {
            TypeDescriptor::Reference(Reference::Object) => found
                .read_raw::<ObjectReference1>()
                .map_err(|cause| input.refused(dataset, &cause))?,
            other => {
                return Err(input.mismatch(
                    dataset,
                    "references to objects",
                    other.to_string(),
                    "write the file again",
                ));
            }
        };
        references.iter().map(|reference| self.target(input, dataset, reference)).collect()
    }

    /// The object that an attribute of a dataset refers to; `None` if there is no such attribute.
    ///
    /// # Errors
    /// Returns [`FileError`] if the attribute is not a reference or refers to nothing.
    pub fn referred_by(
        &self,
        input: &Input,
        dataset: &str,
        attribute: &str,
    ) -> Result<Option<&Object>> {
        let Some(found) = input.find(dataset)? else { return Ok(None) };
        let shown = format!("{dataset}, attribute {attribute}");
        let refused = |cause: hdf5::Error| input.refused(&shown, &cause);
        if !found.attr_names().map_err(refused)?.iter().any(|name| name == attribute) {
            return Ok(None);
        }
        let stored = found.attr(attribute).map_err(refused)?;
        match input.descriptor(&shown, &stored)? {
            TypeDescriptor::Reference(Reference::Object) => {
                let references = stored.read_raw::<ObjectReference1>().map_err(refused)?;
                references
                    .first()
                    .map(|reference| self.target(input, &shown, reference))
                    .transpose()
            }
            other => Err(input.mismatch(
                &shown,
                "a reference to an object",
                other.to_string(),
                "write the file again",
            )),
        }
    }

    fn target(&self, input: &Input, shown: &str, reference: &ObjectReference1) -> Result<&Object> {
        let gone = || -> FileError {
            let advice = "the object it refers to was deleted from the file: write the file again";
            input.mismatch(
                shown,
                "references to objects in the file",
                "one that refers to nothing",
                advice,
            )
        };
        let info = match input.file.dereference(reference).map_err(|_| gone())? {
            ReferencedObject::Group(group) => group.loc_info(),
            ReferencedObject::Dataset(dataset) => dataset.loc_info(),
            ReferencedObject::Datatype(_) => return Err(gone()),
        };
        self.at(&info.map_err(|_| gone())?).ok_or_else(gone)
    }

    fn at(&self, info: &LocationInfo) -> Option<&Object> {
        self.0
            .iter()
            .find(|object| object.info.fileno == info.fileno && object.info.token == info.token)
    }
}

impl Input {
    fn text_if_any(&self, owner: &Location, shown: &str, name: &str) -> Result<Option<String>> {
        let names = owner.attr_names().map_err(|cause| self.refused(shown, &cause))?;
        if !names.iter().any(|known| known == name) {
            return Ok(None);
        }
        self.text_of(owner, &format!("{shown}, attribute {name}"), name).map(Some)
    }

    /// A numeric attribute of a dataset; `None` if there is no such dataset or attribute.
    ///
    /// # Errors
    /// Returns [`FileError`] if the attribute is not a single number.
    pub fn number_attribute(&self, dataset: &str, name: &str) -> Result<Option<f64>> {
        match self.numbers_attribute(dataset, name)?.as_deref() {
            None => Ok(None),
            Some([number]) => Ok(Some(*number)),
            Some(found) => {
                let shown = format!("{dataset}, attribute {name}");
                Err(self.mismatch(
                    &shown,
                    "one number",
                    found.len().to_string(),
                    "write the file again",
                ))
            }
        }
    }
}
