//! A file tree, as a folder or zipped.

use super::annotations::Source;
use super::npy::{Npy, Values};
use crate::{Error, Result};
use brainprior_artifact::FileError;
use ndarray::Array2;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Of which the files are read by their names within it, with `/` between folders.
pub(crate) struct Tree {
    path: PathBuf,
    place: Place,
}

enum Place {
    Folder,
    /// The archive, and where in it each file of the tree is.
    Zip(ZipArchive<BufReader<File>>, HashMap<String, usize>),
}

impl Tree {
    /// A folder.
    pub(crate) fn folder(path: &Path) -> Self {
        Self { path: path.to_owned(), place: Place::Folder }
    }

    /// A zip archive in which `root` lies at the top or in one folder, which is then where the tree begins.
    pub(crate) fn zip(path: &Path, root: &str) -> Result<Self> {
        let file = File::open(path).map_err(FileError::refused(path, "open"))?;
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|error| FileError::refused(path, "open as a zip archive")(error).advise("it may be cut off"))?;
        let names: Vec<(usize, String)> =
            archive.file_names().enumerate().filter_map(|(index, name)| Some((index, name.ok()?.into_owned()))).collect();
        let depth = |name: &str| name.strip_suffix(root).map(|prefix| (prefix.matches('/').count(), prefix.to_owned()));
        let mut prefixes: Vec<String> = names
            .iter()
            .filter_map(|(_, name)| depth(name))
            .filter(|(depth, prefix)| (prefix.is_empty() || *depth == 1 && prefix.ends_with('/')) && prefix != "__MACOSX/")
            .map(|(_, prefix)| prefix)
            .collect();
        prefixes.sort_by_key(String::len);
        let [prefix] = &prefixes[..] else {
            let expected = "one such file, at the top of the archive or in one folder";
            let found = if prefixes.is_empty() { "none".into() } else { format!("it in {}", prefixes.join(" and ")) };
            return Err(FileError::mismatch(path, root, expected, found, "zip the folder of one scan").into());
        };
        let within = |(index, name): (usize, String)| Some((name.strip_prefix(prefix.as_str())?.to_owned(), index));
        let files = names.into_iter().filter_map(within).collect();
        Ok(Self { path: path.to_owned(), place: Place::Zip(archive, files) })
    }

    /// How many array files lie in a folder.
    pub(crate) fn count(&self, folder: &str) -> usize {
        match &self.place {
            Place::Folder => fs::read_dir(self.path.join(folder)).map_or(0, |entries| {
                entries
                    .filter_map(|entry| entry.ok())
                    .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "npy"))
                    .count()
            }),
            Place::Zip(_, files) => {
                let inside = |name: &str| name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
                files.keys().filter_map(|name| inside(name)).filter(|name| name.ends_with(".npy") && !name.contains('/')).count()
            }
        }
    }

    /// An array.
    pub(crate) fn array(&mut self, name: &str) -> Result<Npy> {
        let bytes = self.bytes(name)?;
        Npy::parse(&bytes).map_err(|problem| self.layout(name, problem.expected, problem.found, problem.advice))
    }

    /// Numbers of any shape, as f32.
    pub(crate) fn numbers(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let Npy { shape, values } = self.array(name)?;
        let values = match values {
            Values::Floats(values) => values,
            Values::Bytes(values) => values.into_iter().map(f32::from).collect(),
            Values::Integers(values) => values.into_iter().map(|value| value as f32).collect(),
            Values::Strings(_) => return Err(self.layout(name, "numbers".into(), "strings".into(), "save them as numbers")),
        };
        Ok((shape, values))
    }

    pub(crate) fn layout(&self, name: &str, expected: String, found: String, advice: &'static str) -> Error {
        FileError::mismatch(&self.path, name, expected, found, advice).into()
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        if !self.has(name) {
            return Err(self.layout(
                name,
                "an array file".into(),
                "none".into(),
                "see that the tree was copied or unpacked whole",
            ));
        }
        match &mut self.place {
            Place::Folder => {
                let path = self.path.join(name);
                Ok(fs::read(&path).map_err(FileError::refused(&path, "read"))?)
            }
            Place::Zip(archive, files) => {
                let mut bytes = vec![];
                let path = self.path.join(name);
                let mut file = archive.by_index(files[name]).map_err(FileError::refused(&path, "read"))?;
                file.read_to_end(&mut bytes).map_err(FileError::refused(&path, "read"))?;
                Ok(bytes)
            }
        }
    }

    fn vector(&mut self, name: &str) -> Result<Values> {
        let Npy { shape, values } = self.array(name)?;
        if shape.len() != 1 {
            return Err(self.layout(
                name,
                "one dimension".into(),
                format!("shape {shape:?}"),
                "save one entry for each row or neuron",
            ));
        }
        Ok(values)
    }
}

impl Source for Tree {
    fn path(&self) -> &Path {
        &self.path
    }

    fn of_rows(name: &str) -> String {
        format!("meta/trials/{name}.npy")
    }

    fn of_neurons(name: &str) -> String {
        format!("meta/neurons/{name}.npy")
    }

    fn has(&self, name: &str) -> bool {
        match &self.place {
            Place::Folder => self.path.join(name).is_file(),
            Place::Zip(_, files) => files.contains_key(name),
        }
    }

    fn strings(&mut self, name: &str) -> Result<Vec<String>> {
        match self.vector(name)? {
            Values::Strings(values) => Ok(values.into_iter().map(|value| value.trim_end().to_owned()).collect()),
            Values::Integers(values) => Ok(values.iter().map(i64::to_string).collect()),
            Values::Bytes(values) => Ok(values.iter().map(u8::to_string).collect()),
            Values::Floats(_) => Err(self.layout(name, "strings or whole numbers".into(), "floats".into(), "save them as text")),
        }
    }

    fn integers(&mut self, name: &str) -> Result<Vec<i64>> {
        match self.vector(name)? {
            Values::Integers(values) => Ok(values),
            Values::Bytes(values) => Ok(values.into_iter().map(i64::from).collect()),
            Values::Floats(values) if values.iter().all(|value| value.fract() == 0.0) => {
                Ok(values.into_iter().map(|value| value as i64).collect())
            }
            _ => Err(self.layout(name, "whole numbers".into(), "other values".into(), "save them as integers")),
        }
    }

    fn matrix(&mut self, name: &str, columns: usize) -> Result<Array2<f32>> {
        let (shape, values) = self.numbers(name)?;
        match shape[..] {
            [rows, found] if found == columns => Ok(Array2::from_shape_vec((rows, columns), values).expect("a checked array")),
            _ => Err(self.layout(name, format!("shape (*, {columns})"), format!("shape {shape:?}"), "save it in that shape")),
        }
    }
}
