//! Contents of a file: every dataset, tensor or field with its type and shape, for any container.

use super::spec::Container;
use anyhow::{Context, Result};
use brainprior_artifact::Entry;
use brainprior_artifact::archive::Archive;
use std::collections::BTreeMap;
use std::path::Path;

/// Types and shapes by name.
pub(crate) type Contents = BTreeMap<String, Entry>;

/// Lists a file with the given container.
pub(crate) fn list(path: &Path, container: Container) -> Result<Contents> {
    match container {
        Container::Hdf5 => Ok(brainprior_artifact::hdf5::list(path)?),
        Container::Folder => Ok(brainprior_recording::list_sensorium(path)?),
        Container::Safetensors => of_safetensors(path),
        Container::Weights => of_weights(path),
        Container::Npy => super::exported::list(path),
        Container::Json => of_json(path),
        Container::Toml => of_toml(path),
    }
}

pub(crate) fn of_safetensors(path: &Path) -> Result<Contents> {
    of_archive(&Archive::read(path, "use an undamaged safetensors file")?)
}

/// Lists the weights of a network in any supported file.
pub(crate) fn of_weights(path: &Path) -> Result<Contents> {
    of_archive(&Archive::read_weights(path, "use a file with network weights")?)
}

fn of_archive(file: &Archive) -> Result<Contents> {
    let entry = |name: String| {
        let tensor = file.tensor(&name)?;
        let dtype = format!("{:?}", tensor.dtype()).to_lowercase();
        Ok((name, Entry { dtype, shape: tensor.shape().to_vec() }))
    };
    file.names().into_iter().map(entry).collect()
}

fn of_json(path: &Path) -> Result<Contents> {
    let value: serde_json::Value = brainprior_artifact::json::read(path)?;
    let mut contents = Contents::new();
    walk_json(&value, "", &mut contents);
    Ok(contents)
}

fn of_toml(path: &Path) -> Result<Contents> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read {}", path.display()))?;
    let value: serde_json::Value =
        toml::from_str(&text).with_context(|| format!("{} is not valid TOML", path.display()))?;
    let mut contents = Contents::new();
    walk_json(&value, "", &mut contents);
    Ok(contents)
}

fn walk_json(value: &serde_json::Value, path: &str, contents: &mut Contents) {
    use serde_json::Value;
    let (dtype, shape) = match value {
        Value::Null => return,
        Value::Bool(_) => ("bool", vec![]),
        Value::Number(number) if number.is_f64() => ("f64", vec![]),
        Value::Number(_) => ("i64", vec![]),
        Value::String(_) => ("string", vec![]),
        Value::Array(items) => ("array", vec![items.len()]),
        Value::Object(_) => ("object", vec![]),
    };
    if !path.is_empty() {
        contents.insert(path.to_owned(), Entry { dtype: dtype.into(), shape });
    }
    match value {
        Value::Array(items) => {
            items.iter().for_each(|item| walk_json(item, &format!("{path}[]"), contents))
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk_json(field, &path, contents);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_fields_are_listed_with_brackets_for_arrays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        std::fs::write(&path, r#"{"scans":[{"name":"a","oracle":0.4}],"seed":1,"none":null}"#)
            .unwrap();
        let contents = of_json(&path).unwrap();
        assert_eq!(contents["scans"], Entry { dtype: "array".into(), shape: vec![1] });
        assert_eq!(contents["scans[].oracle"].dtype, "f64");
        assert_eq!(contents["seed"].dtype, "i64");
        assert!(!contents.contains_key("none"));
    }

    #[test]
    fn a_lying_safetensors_header_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let header = br#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 8]);
        std::fs::write(&path, bytes).unwrap();
        let error = of_safetensors(&path).unwrap_err().to_string();
        assert!(error.contains("x.safetensors") && error.contains("header"), "{error}");
    }
}
