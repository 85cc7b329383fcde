//! File trees in folders and zip archives.

use super::annotations::Source;
use crate::Result;
use brainprior_artifact::npy::{Header, Npy, Values};
use brainprior_artifact::unpacked::Budget;
use brainprior_artifact::{Entry, FileError};
use ndarray::Array2;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Bytes that are enough for the header of an array file.
const HEADER: u64 = 4096;

const WHOLE: &str = "check that the tree was copied or unpacked completely";

/// A tree whose files are read by their path in it, with `/` between folders.
pub(crate) struct Tree {
    path: PathBuf,
    place: Place,
}

enum Place {
    Folder,
    /// The archive, the index of each file of the tree in it, and its remaining decompression
    /// budget.
    Zip(ZipArchive<BufReader<File>>, HashMap<String, usize>, Budget),
}

impl Tree {
    /// A tree in a folder.
    pub(crate) fn folder(path: &Path) -> Self {
        Self { path: path.to_owned(), place: Place::Folder }
    }

    /// A tree in a zip archive that has `root` at the top or in one folder, which is then the root
    /// of the tree.
    pub(crate) fn zip(path: &Path, root: &str) -> Result<Self> {
        let file = File::open(path).map_err(FileError::refused(path, "open"))?;
        let budget = Budget::of(file.metadata().map_err(FileError::refused(path, "read"))?.len());
        let opened = ZipArchive::new(BufReader::new(file));
        let advice = "it may be truncated: copy it again";
        let archive = opened.map_err(|error| {
            FileError::refused(path, "open as a zip archive")(error).advise(advice)
        })?;
        let names: Vec<(usize, String)> = archive
            .file_names()
            .enumerate()
            .filter_map(|(index, name)| Some((index, name.ok()?.into_owned())))
            .collect();
        let depth = |name: &str| {
            name.strip_suffix(root).map(|prefix| (prefix.matches('/').count(), prefix.to_owned()))
        };
        let mut prefixes: Vec<String> = names
            .iter()
            .filter_map(|(_, name)| depth(name))
            .filter(|(depth, prefix)| {
                (prefix.is_empty() || *depth == 1 && prefix.ends_with('/')) && prefix != "__MACOSX/"
            })
            .map(|(_, prefix)| prefix)
            .collect();
        prefixes.sort_by_key(String::len);
        let [prefix] = &prefixes[..] else {
            let expected = "one such file, at the top of the archive or in one folder";
            let found = if prefixes.is_empty() {
                "none".into()
            } else {
                format!("one in {}", prefixes.join(" and "))
            };
            return Err(FileError::mismatch(
                path,
                root,
                expected,
                found,
                "zip the folder of one scan",
            )
            .into());
        };
        let within = |(index, name): (usize, String)| {
            Some((name.strip_prefix(prefix.as_str())?.to_owned(), index))
        };
        let files = names.into_iter().filter_map(within).collect();
        Ok(Self { path: path.to_owned(), place: Place::Zip(archive, files, budget) })
    }

    /// Number of numbered array files in a folder; 0 if there is none.
    pub(crate) fn count(&self, folder: &str) -> Result<usize> {
        let inside = |name: &str| {
            name.strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(is_numbered)
        };
        match &self.place {
            Place::Zip(_, files, _) => Ok(files.keys().filter(|name| inside(name)).count()),
            Place::Folder if !self.exists(folder)? => Ok(0),
            Place::Folder => {
                let path = self.path.join(folder);
                let entries = fs::read_dir(&path)
                    .and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
                let entries = entries.map_err(|source| self.unreadable(folder, source))?;
                Ok(entries
                    .iter()
                    .filter(|entry| is_numbered(&entry.file_name().to_string_lossy()))
                    .count())
            }
        }
    }

    /// Every file with the type and shape of its array; numbered files of a folder are one entry
    /// `*.npy`.
    pub(crate) fn list(&mut self) -> Result<BTreeMap<String, Entry>> {
        let mut names = vec![];
        match &self.place {
            Place::Zip(_, files, _) => {
                names.extend(files.keys().filter(|name| !name.ends_with('/')).cloned())
            }
            Place::Folder => walk(&self.path, &mut names)?,
        }
        names.sort();
        let mut listed = BTreeMap::new();
        for name in names {
            let (folder, file) =
                name.rsplit_once('/').map_or(("", name.as_str()), |(folder, file)| (folder, file));
            let shown = if is_numbered(file) {
                format!("{folder}/*.npy").trim_start_matches('/').to_owned()
            } else {
                name.clone()
            };
            if file.starts_with("._") || listed.contains_key(&shown) {
                continue;
            }
            let entry = match file.rsplit_once('.') {
                Some((_, "npy")) => {
                    let header = Header::parse(&self.start(&name, HEADER)?)
                        .map_err(|problem| problem.of(&self.path, &name))?;
                    Entry { dtype: header.dtype(), shape: header.shape }
                }
                Some((_, "json")) => Entry { dtype: "json".into(), shape: vec![] },
                _ => Entry { dtype: "file".into(), shape: vec![] },
            };
            listed.insert(shown, entry);
        }
        Ok(listed)
    }

    /// Reads an array.
    pub(crate) fn array(&mut self, name: &str) -> Result<Npy> {
        let bytes = self.bytes(name)?;
        Npy::parse(&bytes).map_err(|problem| problem.of(&self.path, name).into())
    }

    /// Reads numbers of any shape as f32.
    pub(crate) fn numbers(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let Npy { shape, values } = self.array(name)?;
        let values = match values {
            Values::Floats(values) => values,
            Values::Doubles(values) => values.into_iter().map(|value| value as f32).collect(),
            Values::Bytes(values) => values.into_iter().map(f32::from).collect(),
            Values::Integers(values) => values.into_iter().map(|value| value as f32).collect(),
            Values::Large(values) => values.into_iter().map(|value| value as f32).collect(),
            Values::Strings(_) => {
                return Err(self
                    .mismatch(name, "numbers", "strings", "save them as numbers")
                    .into());
            }
        };
        Ok((shape, values))
    }

    pub(crate) fn mismatch(
        &self,
        name: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: &'static str,
    ) -> FileError {
        FileError::mismatch(&self.path, name, expected, found, advice)
    }

    /// Whether a path exists in a folder. A dangling link anywhere on the path is an error.
    fn exists(&self, name: &str) -> Result<bool> {
        for end in name.match_indices('/').map(|(end, _)| end).chain([name.len()]) {
            let (part, path) = (&name[..end], self.path.join(&name[..end]));
            match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(self.unreadable(part, error).into()),
                Ok(_) => fs::metadata(&path).map_err(|source| self.unreadable(part, source))?,
            };
        }
        Ok(true)
    }

    fn unreadable(&self, name: &str, source: std::io::Error) -> FileError {
        let linked = fs::read_link(self.path.join(name));
        match (source.kind(), linked) {
            (ErrorKind::NotFound, Ok(target)) => {
                let found = format!("a link to {}, which is missing", target.display());
                self.mismatch(
                    name,
                    "a dataset, or nothing of this name",
                    found,
                    "restore the target of the link, or remove the link",
                )
            }
            _ => FileError::refused(&self.path, "read")(source).in_dataset(name).advise(WHOLE),
        }
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        if !self.has(name)? {
            return Err(self.mismatch(name, "an array file", "none", WHOLE).into());
        }
        self.start(name, u64::MAX)
    }

    /// Reads the first `count` bytes of an existing file.
    fn start(&mut self, name: &str, count: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![];
        match &mut self.place {
            Place::Folder => {
                let read = File::open(self.path.join(name))
                    .and_then(|file| file.take(count).read_to_end(&mut bytes));
                read.map_err(|source| self.unreadable(name, source))?;
            }
            Place::Zip(archive, files, budget) => {
                let read = archive.by_index(files[name]).map_err(std::io::Error::from);
                let read = read.and_then(|file| budget.read(file.take(count)));
                bytes = read.map_err(|source| {
                    FileError::refused(&self.path, "unpack")(source).in_dataset(name).advise(WHOLE)
                })?;
            }
        }
        Ok(bytes)
    }

    fn vector(&mut self, name: &str) -> Result<Values> {
        let Npy { shape, values } = self.array(name)?;
        if shape.len() != 1 {
            let found = format!("shape {shape:?}");
            return Err(self
                .mismatch(name, "one dimension", found, "save one entry per row or neuron")
                .into());
        }
        Ok(values)
    }

    fn unfit(
        &self,
        name: &str,
        row: usize,
        found: impl std::fmt::Display,
        expected: &str,
    ) -> FileError {
        self.mismatch(
            name,
            expected,
            format!("{found} in row {row}"),
            "renumber them, or leave the file out",
        )
    }
}

/// Whether an array file belongs to a row: its name is a number. `._0.npy`, which macOS adds next
/// to `0.npy`, does not.
fn is_numbered(name: &str) -> bool {
    name.strip_suffix(".npy")
        .is_some_and(|stem| !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Collects the names of all files in a folder. Each folder is visited once, whatever links lead to
/// it.
fn walk(root: &Path, names: &mut Vec<String>) -> Result<()> {
    let (mut open, mut visited) = (vec![(root.to_owned(), String::new())], vec![]);
    while let Some((folder, prefix)) = open.pop() {
        let canonical = folder.canonicalize().map_err(FileError::refused(&folder, "list"))?;
        if visited.contains(&canonical) {
            continue;
        }
        visited.push(canonical);
        let entries =
            fs::read_dir(&folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
        for entry in entries.map_err(FileError::refused(&folder, "list"))? {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => open.push((entry.path(), format!("{name}/"))),
                false => names.push(name),
            }
        }
    }
    Ok(())
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

    fn has(&self, name: &str) -> Result<bool> {
        match &self.place {
            Place::Folder => self.exists(name),
            Place::Zip(_, files, _) => Ok(files.contains_key(name)),
        }
    }

    fn strings(&mut self, name: &str) -> Result<Vec<String>> {
        match self.vector(name)? {
            Values::Strings(values) => {
                Ok(values.into_iter().map(|value| value.trim_end().to_owned()).collect())
            }
            Values::Large(values) => Ok(values.iter().map(u64::to_string).collect()),
            values => Ok(self.whole(name, values)?.iter().map(i64::to_string).collect()),
        }
    }

    fn integers(&mut self, name: &str) -> Result<Vec<i64>> {
        let values = self.vector(name)?;
        self.whole(name, values)
    }

    fn matrix(&mut self, name: &str, columns: usize) -> Result<Array2<f32>> {
        let (shape, values) = self.numbers(name)?;
        match shape[..] {
            [rows, found] if found == columns => {
                Ok(Array2::from_shape_vec((rows, columns), values).expect("a checked array"))
            }
            _ => {
                let found = format!("shape {shape:?}");
                Err(self
                    .mismatch(name, format!("shape (*, {columns})"), found, "save it in that shape")
                    .into())
            }
        }
    }
}

impl Tree {
    /// Integers, including those stored as floats.
    fn whole(&self, name: &str, values: Values) -> Result<Vec<i64>> {
        // Beyond 2^53 not every integer is exact in f64.
        let of_float = |(row, value): (usize, f64)| match value.fract() == 0.0
            && value.abs() <= 2f64.powi(53)
        {
            true => Ok(value as i64),
            false => Err(self.unfit(name, row, value, "whole numbers").into()),
        };
        match values {
            Values::Integers(values) => Ok(values),
            Values::Bytes(values) => Ok(values.into_iter().map(i64::from).collect()),
            Values::Floats(values) => {
                values.into_iter().map(f64::from).enumerate().map(of_float).collect()
            }
            Values::Doubles(values) => values.into_iter().enumerate().map(of_float).collect(),
            Values::Large(values) => {
                let (row, value) =
                    values.iter().enumerate().max_by_key(|(_, value)| **value).unwrap_or((0, &0));
                Err(self.unfit(name, row, value, "whole numbers below 2^63").into())
            }
            Values::Strings(_) => {
                Err(self.mismatch(name, "whole numbers", "strings", "save them as integers").into())
            }
        }
    }
}
