//! What a file holds: every dataset, tensor or field with its type and shape, whatever the container.

use super::spec::{Container, Found};
use anyhow::{Context, Result, bail};
use brainprior_artifact::json;
use hdf5::types::TypeDescriptor;
use std::collections::BTreeMap;
use std::path::Path;

/// Names to types and shapes.
pub(crate) type Contents = BTreeMap<String, Found>;

/// Lists a file of the given container.
pub(crate) fn list(path: &Path, container: Container) -> Result<Contents> {
    match container {
        Container::Hdf5 => hdf5_contents(path),
        Container::Safetensors => safetensors_contents(path),
        Container::Json => json_contents(path),
        Container::Folder => folder_contents(path),
    }
}

fn hdf5_contents(path: &Path) -> Result<Contents> {
    let file = hdf5::File::open(path).with_context(|| {
        format!("{}: not a complete HDF5 file (expected one that HDF5 1.8 or newer can open)", path.display())
    })?;
    let mut contents = Contents::new();
    walk_group(&file, "", &mut contents)?;
    Ok(contents)
}

fn walk_group(group: &hdf5::Group, prefix: &str, contents: &mut Contents) -> Result<()> {
    for name in group.member_names()? {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if let Ok(dataset) = group.dataset(&name) {
            let dtype = dataset
                .dtype()
                .and_then(|dtype| dtype.to_descriptor())
                .with_context(|| format!("{path}: its type is unreadable"))?;
            contents.insert(path, Found { dtype: hdf5_type(&dtype), shape: dataset.shape() });
        } else if let Ok(group) = group.group(&name) {
            walk_group(&group, &path, contents)?;
        }
    }
    Ok(())
}

fn hdf5_type(descriptor: &TypeDescriptor) -> String {
    match descriptor {
        TypeDescriptor::Integer(size) => format!("i{}", *size as usize * 8),
        TypeDescriptor::Unsigned(size) => format!("u{}", *size as usize * 8),
        TypeDescriptor::Float(size) => format!("f{}", *size as usize * 8),
        TypeDescriptor::Boolean => "bool".into(),
        TypeDescriptor::FixedAscii(_)
        | TypeDescriptor::FixedUnicode(_)
        | TypeDescriptor::VarLenAscii
        | TypeDescriptor::VarLenUnicode => "string".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn safetensors_contents(path: &Path) -> Result<Contents> {
    let bytes = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    let tensors = safetensors::SafeTensors::deserialize(&bytes).with_context(|| {
        format!("{}: the safetensors header does not agree with the file of {} bytes", path.display(), bytes.len())
    })?;
    let describe = |view: &safetensors::tensor::TensorView| Found {
        dtype: format!("{:?}", view.dtype()).to_lowercase(),
        shape: view.shape().to_vec(),
    };
    Ok(tensors.tensors().iter().map(|(name, view)| (name.clone(), describe(view))).collect())
}

fn json_contents(path: &Path) -> Result<Contents> {
    let value: serde_json::Value = json::read(path)?;
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
        contents.insert(path.to_owned(), Found { dtype: dtype.into(), shape });
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk_json(item, &format!("{path}[]"), contents)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk_json(field, &path, contents);
            }
        }
        _ => {}
    }
}

/// Lists the folders and files of a tree; a folder of numbered arrays is one entry with their count.
fn folder_contents(path: &Path) -> Result<Contents> {
    let mut contents = Contents::new();
    walk_folder(path, "", &mut contents)?;
    if contents.is_empty() {
        bail!("{}: the folder is empty", path.display());
    }
    Ok(contents)
}

fn walk_folder(path: &Path, prefix: &str, contents: &mut Contents) -> Result<()> {
    let mut numbered = 0;
    for entry in std::fs::read_dir(path).with_context(|| format!("could not list {}", path.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let inner = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if entry.path().is_dir() {
            walk_folder(&entry.path(), &inner, contents)?;
        } else if name.strip_suffix(".npy").is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit())) {
            numbered += 1;
        } else {
            contents.insert(inner, Found { dtype: "file".into(), shape: vec![] });
        }
    }
    if numbered > 0 {
        contents.insert(format!("{prefix}/*.npy"), Found { dtype: "file".into(), shape: vec![numbered] });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_fields_are_listed_with_brackets_for_arrays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        std::fs::write(&path, r#"{"scans":[{"name":"a","oracle":0.4}],"seed":1,"none":null}"#).unwrap();
        let contents = json_contents(&path).unwrap();
        assert_eq!(contents["scans"], Found { dtype: "array".into(), shape: vec![1] });
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
        let error = safetensors_contents(&path).unwrap_err().to_string();
        assert!(error.contains("x.safetensors") && error.contains("header"), "{error}");
    }
}
