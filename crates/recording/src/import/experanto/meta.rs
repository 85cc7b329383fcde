//! YAML files with metadata, whose keys are read individually; other keys are ignored.

use crate::Result;
use brainprior_artifact::FileError;
use serde_yaml_ng::{Mapping, Value};
use std::path::{Path, PathBuf};

/// The content of a YAML file.
pub(super) struct Meta {
    path: PathBuf,
    keys: Mapping,
}

impl Meta {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let advice = "an experanto recording has one per folder and per trial: check that it was copied completely";
            FileError::refused(path, "read")(error).advise(advice)
        })?;
        let damaged = |error: String| {
            let advice = "the file may be truncated: copy it again";
            FileError::mismatch(path, "the file", "YAML keys and values", error, advice)
        };
        let keys = serde_yaml_ng::from_str(&text)
            .map_err(|error| damaged(error.to_string().replace('\n', " ")))?;
        Ok(Self { path: path.to_owned(), keys })
    }

    /// A string; `None` if the key is missing.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            // YAML parses a hash of digits as a number.
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.mismatch(key, "a text", format!("{other:?}")).into()),
        }
    }

    /// A required string.
    pub(super) fn required_text(&self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| self.mismatch(key, "a text", "none").into())
    }

    /// A boolean; `missing` is its default.
    pub(super) fn flag(&self, key: &str, missing: bool) -> Result<bool> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(missing),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.mismatch(key, "true or false", format!("{other:?}")).into()),
        }
    }

    /// A required finite number.
    pub(super) fn number(&self, key: &str) -> Result<f64> {
        match self.keys.get(key).map(|value| (value, value.as_f64())) {
            Some((_, Some(number))) if number.is_finite() => Ok(number),
            Some((other, _)) => {
                Err(self.mismatch(key, "a finite number", format!("{other:?}")).into())
            }
            None => Err(self.mismatch(key, "a finite number", "none").into()),
        }
    }

    /// A required non-negative integer.
    pub(super) fn count(&self, key: &str) -> Result<usize> {
        let found = self.keys.get(key);
        let count = found.and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| {
            let found = found.map_or("none".to_owned(), |value| format!("{value:?}"));
            self.mismatch(key, "a whole number of at least 0", found).into()
        })
    }

    pub(super) fn mismatch(
        &self,
        key: &str,
        expected: &str,
        found: impl Into<String>,
    ) -> FileError {
        FileError::mismatch(
            &self.path,
            key,
            expected,
            found,
            "export the recording again, or correct the file",
        )
    }
}
