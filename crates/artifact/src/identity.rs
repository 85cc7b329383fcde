//! Records what an artifact was made from, and finds where two records differ.

use crate::hash::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Everything that determines an artifact: settings, seed and the hashes of its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    settings: Value,
    inputs: BTreeMap<String, Hash>,
    seed: u64,
}

impl Identity {
    /// An identity with these settings and this seed, and no inputs yet.
    ///
    /// # Panics
    /// Panics if JSON cannot represent the settings, for example a map whose keys are not strings.
    pub fn new(settings: &impl Serialize, seed: u64) -> Self {
        Self { settings: value(settings), inputs: BTreeMap::new(), seed }
    }

    /// Adds an input by the hash of its content. Its name does not depend on the location of the
    /// input.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, hash: impl Into<Hash>) -> Self {
        self.inputs.insert(name.into(), hash.into());
        self
    }

    /// The settings.
    pub fn settings(&self) -> &Value {
        &self.settings
    }

    /// The hash of each input, by name.
    pub fn inputs(&self) -> &BTreeMap<String, Hash> {
        &self.inputs
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The first difference between this identity and `found`: a setting (by its keys), an input,
    /// or the seed.
    pub fn first_difference(&self, found: &Self) -> Option<Difference> {
        let named = |kind: &str, expected: &Value, found: &Value| {
            differing("", expected, found).map(|difference| {
                let what = format!("{kind} {}", difference.what).trim_end().to_owned();
                Difference { what, ..difference }
            })
        };
        named("setting", &self.settings, &found.settings)
            .or_else(|| named("input", &value(&self.inputs), &value(&found.inputs)))
            .or_else(|| named("seed", &self.seed.into(), &found.seed.into()))
    }
}

/// One difference between an expected and an actual value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The keys of the value, outermost first, separated by dots.
    pub what: String,
    /// The expected value as JSON; `nothing` if there is none.
    pub expected: String,
    /// The actual value as JSON; `nothing` if there is none.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, found } = self;
        write!(f, "{what}: expected {expected}, found {found}")
    }
}

/// The first field in which two descriptions differ.
///
/// # Panics
/// Panics if JSON cannot represent a description, for example a map whose keys are not strings.
pub fn first_difference(expected: &impl Serialize, found: &impl Serialize) -> Option<Difference> {
    differing("", &value(expected), &value(found))
}

fn value(description: &impl Serialize) -> Value {
    serde_json::to_value(description).expect("a description is plain data")
}

fn differing(name: &str, expected: &Value, found: &Value) -> Option<Difference> {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    let absent = Value::Null;
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).find_map(|key| {
                differing(&below(key), a.get(key).unwrap_or(&absent), b.get(key).unwrap_or(&absent))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (a, b))| differing(&below(&index.to_string()), a, b)),
        _ if expected == found => None,
        _ => {
            let text = |value: &Value| {
                if value.is_null() { "nothing".to_owned() } else { value.to_string() }
            };
            Some(Difference { what: name.to_owned(), expected: text(expected), found: text(found) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn differ(expected: &Value, found: &Value, words: &str) {
        assert_eq!(first_difference(expected, found).unwrap().to_string(), words);
    }

    #[test]
    fn the_field_that_differs_is_named() {
        let config = json!({ "core": { "window": 6.0, "kernels": [9, 7] }, "name": "small" });
        assert_eq!(first_difference(&config, &config), None);
        let mut other = config.clone();
        other["core"]["window"] = json!(10.0);
        differ(&config, &other, "core.window: expected 6.0, found 10.0");
        other = config.clone();
        other["core"]["kernels"] = json!([9, 5]);
        differ(&config, &other, "core.kernels.1: expected 7, found 5");
        other["core"]["kernels"] = json!([9]);
        differ(&config, &other, "core.kernels: expected [9,7], found [9]");
        differ(&json!({}), &json!({ "seed": 3 }), "seed: expected nothing, found 3");
    }

    #[test]
    fn settings_come_before_inputs_and_the_seed() {
        let identity = |alpha: f64, hash: &str, seed| {
            Identity::new(&json!({ "alpha": alpha }), seed).input("images", hash)
        };
        let own = identity(1.0, "a1", 7);
        let words =
            |found: Identity| own.first_difference(&found).map(|difference| difference.to_string());
        assert_eq!(words(own.clone()), None);
        assert_eq!(
            words(identity(2.0, "b2", 8)).unwrap(),
            "setting alpha: expected 1.0, found 2.0"
        );
        assert_eq!(
            words(identity(1.0, "b2", 8)).unwrap(),
            "input images: expected \"a1\", found \"b2\""
        );
        assert_eq!(words(identity(1.0, "a1", 8)).unwrap(), "seed: expected 7, found 8");
    }
}
