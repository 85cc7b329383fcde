//! JSON files.

use crate::{FileError, Result, replace};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

/// Atomically writes a value as indented JSON with a trailing newline.
///
/// # Errors
/// Returns [`FileError`] if JSON cannot represent the value (a map whose keys are not strings) or
/// the file cannot be written.
pub fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(FileError::refused(path, "write the value as JSON"))?;
    text.push('\n');
    replace::bytes(path, text.as_bytes())
}

/// Reads a value from a JSON file.
///
/// # Errors
/// Returns [`FileError`] if the file cannot be read or does not hold such a value; the message has
/// the line and column.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(FileError::refused(path, "read"))?;
    serde_json::from_slice(&bytes)
        .map_err(FileError::refused(path, "read as JSON of the expected content"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn numbers_come_back_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("losses.json");
        // Without the feature `float_roundtrip`, serde_json reads the first two with an error in
        // the last bits.
        for loss in [
            0.930_835_336_446_762_1,
            0.911_785_930_395_126_3,
            -0.002_151_779_967_937_285_4,
            f64::MIN_POSITIVE,
            f64::MAX,
        ] {
            write(&path, &loss).unwrap();
            assert_eq!(read::<f64>(&path).unwrap().to_bits(), f64::to_bits(loss));
        }
    }

    #[test]
    fn a_value_comes_back_and_another_kind_is_refused_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sizes.json");
        let sizes = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        write(&path, &sizes).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
        assert_eq!(read::<BTreeMap<String, i32>>(&path).unwrap(), sizes);
        let error = read::<BTreeMap<String, bool>>(&path).unwrap_err().to_string();
        assert!(error.contains("sizes.json") && error.contains("line 2"), "{error}");
        let error = read::<i32>(&folder.path().join("none.json")).unwrap_err();
        assert_eq!(error.io_kind(), Some(std::io::ErrorKind::NotFound));
    }

    #[test]
    fn a_value_without_json_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value.json");
        write(&path, &1).unwrap();
        assert!(
            write(&path, &BTreeMap::from([((1, 2), 3)]))
                .unwrap_err()
                .to_string()
                .contains("value.json")
        );
        assert_eq!(read::<i32>(&path).unwrap(), 1);
    }
}
