//! An NWB file, and how to choose one of several objects of a kind.

use crate::Result;
use crate::import::asked::Asked;
use brainprior_artifact::hdf5::{Input, Object, Objects};

/// How many names an error lists.
const NAMES_SHOWN: usize = 8;

pub(super) struct File {
    pub input: Input,
    pub objects: Objects,
}

impl File {
    /// All groups for which `is` holds.
    pub(super) fn groups(&self, is: impl Fn(&Object) -> bool) -> Vec<&Object> {
        self.objects.iter().filter(|object| object.is_group && is(object)).collect()
    }

    /// Finds a group or table by the name given on the command line, without a leading slash.
    pub(super) fn named(
        &self,
        asked: Asked,
        flag: &str,
        name: &str,
        among: &[&Object],
    ) -> Result<String> {
        let path = name.trim_matches('/');
        if let Some(found) =
            among.iter().find(|object| object.path == path || object.name() == path)
        {
            return Ok(found.path.clone());
        }
        let found = format!("{name:?}; the file has {}", listed(among));
        Err(asked.mismatch(flag, "one of those in the file", found, ["give its path"; 2]).into())
    }

    /// The only candidate, or the only preferred one; an error if there is none or several.
    pub(super) fn only<'a>(
        &self,
        asked: Asked,
        flag: &str,
        what: &str,
        among: &[&'a Object],
        preferred: impl Fn(&Object) -> bool,
    ) -> Result<&'a Object> {
        let better: Vec<&'a Object> =
            among.iter().copied().filter(|object| preferred(object)).collect();
        match (among, &better[..]) {
            ([only], _) | (_, [only]) => Ok(only),
            _ => {
                let advice = format!("choose one: --{flag} PATH");
                let expected = format!("one of {what}");
                Err(asked.mismatch(flag, expected, listed(among), [&advice; 2]).into())
            }
        }
    }
}

/// The names of objects for messages.
pub(super) fn listed(among: &[&Object]) -> String {
    let names: Vec<&str> =
        among.iter().take(NAMES_SHOWN).map(|object| object.path.as_str()).collect();
    match among.len() {
        0 => "none".to_owned(),
        count if count > names.len() => {
            format!("{} and {} more", names.join(", "), count - names.len())
        }
        _ => names.join(", "),
    }
}
