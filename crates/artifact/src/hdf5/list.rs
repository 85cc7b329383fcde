//! Lists the content of a file. Each group is visited once, whatever kind of link leads to it.

use super::{Input, refusal};
use crate::{Entry, FileError, Result};
use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, Group, LocationInfo, LocationType};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;

/// Names of all datasets with types and shapes. A group with several names is listed under the
/// shortest; the entries of the others give that name. Dangling links are marked.
///
/// # Errors
/// Returns [`FileError`] if the file cannot be opened or a group cannot be listed.
pub fn list(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let describe = |member: Member| match member {
        Member::Dataset(dataset) => Some(entry(&dataset)),
        Member::Group(_) => None,
        Member::Again(name) => Some(Entry { dtype: format!("(as {name})"), shape: vec![] }),
        Member::Dangling => Some(Entry { dtype: "(dangling link)".into(), shape: vec![] }),
    };
    let members = members(&Input::open(path)?)?;
    Ok(members.into_iter().filter_map(|(name, member)| Some((name, describe(member)?))).collect())
}

/// Every member keeps its full path, so a long group name would be copied for each of its members.
const LONGEST: usize = 1024;

/// The target of a name.
pub(super) enum Member {
    Dataset(Dataset),
    Group(Group),
    /// A group listed under another name.
    Again(String),
    Dangling,
}

pub(super) fn members(input: &Input) -> Result<Vec<(String, Member)>> {
    let refused = |name: &str, cause: &hdf5::Error| {
        refusal::of_reading(&input.path, if name.is_empty() { "/" } else { name }, cause)
    };
    let root: Group = input.file.as_group().map_err(|cause| refused("", &cause))?;
    let mut found = vec![];
    let place = |info: &LocationInfo| (info.fileno, format!("{:?}", info.token));
    let root_info = root.loc_info().map_err(|cause| refused("", &cause))?;
    let mut visited = HashMap::from([(place(&root_info), "/".to_owned())]);
    let mut open = VecDeque::from([(root, String::new())]);
    while let Some((group, prefix)) = open.pop_front() {
        for name in group.member_names().map_err(|cause| refused(&prefix, &cause))? {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            if path.len() > LONGEST {
                let found = format!(
                    "a name of {} letters that begins with {}",
                    path.len(),
                    path.chars().take(40).collect::<String>()
                );
                let advice = "give groups and datasets shorter names";
                return Err(FileError::mismatch(
                    &input.path,
                    "names",
                    format!("at most {LONGEST} letters"),
                    found,
                    advice,
                ));
            }
            let Ok(info) = group.loc_info_by_name(&name) else {
                found.push((path, Member::Dangling));
                continue;
            };
            match info.loc_type {
                LocationType::Dataset => {
                    found.push((
                        path.clone(),
                        Member::Dataset(
                            group.dataset(&name).map_err(|cause| refused(&path, &cause))?,
                        ),
                    ));
                }
                LocationType::Group => {
                    if let Some(first) = visited.get(&place(&info)) {
                        found.push((path, Member::Again(first.clone())));
                    } else {
                        visited.insert(place(&info), path.clone());
                        let inner = group.group(&name).map_err(|cause| refused(&path, &cause))?;
                        found.push((path.clone(), Member::Group(inner.clone())));
                        open.push_back((inner, path));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Type and shape of a dataset; unusual types are described in words. Arrays of single characters,
/// in which netCDF stores text, count as strings.
fn entry(dataset: &Dataset) -> Entry {
    let mut shape = dataset.shape();
    let Ok(dtype) = dataset.dtype() else {
        return Entry { dtype: "(unreadable type)".into(), shape };
    };
    let dtype = match dtype.to_descriptor() {
        Ok(TypeDescriptor::FixedAscii(1)) if shape.len() > 1 => {
            shape.pop();
            "string".into()
        }
        Ok(TypeDescriptor::Integer(size)) => format!("i{}", size as usize * 8),
        Ok(TypeDescriptor::Unsigned(size)) => format!("u{}", size as usize * 8),
        Ok(TypeDescriptor::Float(size)) => format!("f{}", size as usize * 8),
        Ok(TypeDescriptor::Boolean) => "bool".into(),
        Ok(
            TypeDescriptor::FixedAscii(_)
            | TypeDescriptor::FixedUnicode(_)
            | TypeDescriptor::VarLenAscii
            | TypeDescriptor::VarLenUnicode,
        ) => "string".into(),
        Ok(other) => other.to_string(),
        Err(_) => format!("({} bytes)", dtype.size()),
    };
    Entry { dtype, shape }
}
