//! The valid keys: those of the embedded default. A key that is unset by default appears there
//! behind a `#` without a space, with an example value; so do further types of values of a key.

use super::DEFAULT;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The keys of a section and its subsections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    sections: BTreeMap<String, Known>,
    keys: BTreeMap<String, Vec<Value>>,
}

impl Known {
    /// Reads the keys of `text`, a configuration with every key.
    ///
    /// # Errors
    /// Returns an error if the text, or a line behind `#`, is not TOML.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let mut known = Self::default();
        known.add(&text.parse().context("the embedded default is not valid TOML")?);
        let mut section = &mut known;
        for line in text.lines() {
            if line.starts_with('[') {
                section = line
                    .trim_matches(['[', ']'])
                    .split('.')
                    .fold(&mut known, |section, name| section.at(name));
            } else if let Some(example) =
                line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| !c.is_whitespace()))
            {
                let wrong = || {
                    format!(
                        "the embedded default: `{line}` is neither a comment nor a key with a value"
                    )
                };
                section.add(&example.parse().with_context(wrong)?);
            }
        }
        Ok(known)
    }

    /// Keys allowed in an entry of `training.conditions`: its own and all training settings.
    /// `snapshots` is not among them, since it holds for all conditions.
    pub(crate) fn of_conditions() -> Result<Self> {
        let mut training = Self::of(DEFAULT)?.at("training").clone();
        let own = training.sections.remove("conditions").unwrap_or_default();
        training
            .keys
            .retain(|key, _| !["conditions", "seeds", "snapshots"].contains(&key.as_str()));
        training.keys.extend(own.keys);
        Ok(training)
    }

    /// The section of this name.
    pub(crate) fn section(&self, name: &str) -> Option<&Self> {
        self.sections.get(name)
    }

    /// Example values of a key; the default comes first if there is one.
    pub(crate) fn examples(&self, key: &str) -> Option<&[Value]> {
        self.keys.get(key).map(Vec::as_slice)
    }

    /// Keys and sections.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let sections = self.sections.keys().filter(|name| !self.keys.contains_key(*name));
        self.keys.keys().chain(sections).map(String::as_str)
    }

    /// Full names of all keys called `key` in this section and those within, such as
    /// `training.alpha`.
    pub(crate) fn places_of(&self, key: &str) -> Vec<String> {
        let here = self.keys.contains_key(key).then(|| key.to_owned());
        let within = self.sections.iter().flat_map(|(name, section)| {
            section.places_of(key).into_iter().map(move |place| format!("{name}.{place}"))
        });
        here.into_iter().chain(within).collect()
    }

    fn at(&mut self, name: &str) -> &mut Self {
        self.sections.entry(name.to_owned()).or_default()
    }

    fn add(&mut self, table: &Table) {
        for (key, value) in table {
            match value {
                // A value if written as `{ .. }` behind `#`, a section if it has its own header
                // line.
                Value::Table(section) if !self.keys.contains_key(key) => self.at(key).add(section),
                value => {
                    let tables = value.as_array().into_iter().flatten().filter_map(Value::as_table);
                    tables.for_each(|table| self.at(key).add(table));
                    self.keys.entry(key.clone()).or_default().push(value.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_left_out_are_known_with_all_kinds_of_values() {
        let text = "name = \"a\"\n[one]\n# Words.\nmixture = \"learned\"\n#mixture = { fixed = [1] }\n#file = \"b\"\n[one.two]\n#x = 3\n";
        let known = Known::of(text).unwrap();
        let one = known.section("one").unwrap();
        assert_eq!(one.names().collect::<Vec<_>>(), ["file", "mixture", "two"]);
        assert_eq!(one.examples("mixture").unwrap().len(), 2);
        assert_eq!(one.section("two").unwrap().examples("x"), Some(&[Value::Integer(3)][..]));
        assert!(Known::of("#no key\n").unwrap_err().to_string().contains("`#no key`"));
    }

    #[test]
    fn a_condition_has_keys_of_its_own_and_those_of_a_training() {
        let known = Known::of_conditions().unwrap();
        let names: Vec<&str> = known.names().collect();
        for key in ["target", "name", "keep", "force", "alpha", "layers", "robust_training"] {
            assert!(names.contains(&key), "{key}: {names:?}");
        }
        assert!(!names.contains(&"conditions") && !names.contains(&"seeds"), "{names:?}");
    }
}
