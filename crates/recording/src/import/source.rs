//! Arrays in NumPy, HDF5 or MATLAB files, distinguished by content.

use super::foreign;
use crate::{Error, Result};
use brainprior_artifact::hdf5::{Input, Kind};
use brainprior_artifact::npy::{Npy, Values};
use brainprior_artifact::unpacked::Budget;
use brainprior_artifact::{FileError, is_hdf5};
use ndarray::ArrayD;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

const WHOLE: &str = "the file may be truncated: copy it again";
/// How many array names an error lists if one is missing.
const NAMES_SHOWN: usize = 6;

/// An array, with axes in the order in which its program displays them.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    /// Its name in messages.
    name: String,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Bytes(ArrayD<u8>),
    Integers(ArrayD<i64>),
    Floats(ArrayD<f32>),
    Doubles(ArrayD<f64>),
    Texts(Vec<String>),
}

/// Reads the array `array` of a file, or its only array.
pub(super) fn read(path: &Path, array: Option<&str>) -> Result<Source> {
    foreign::refuse(path)?;
    let mut start = vec![];
    let file = File::open(path).map_err(FileError::refused(path, "open"))?;
    file.take(128).read_to_end(&mut start).map_err(FileError::refused(path, "read"))?;
    let data = if start.starts_with(b"\x93NUMPY") {
        let bytes = std::fs::read(path).map_err(FileError::refused(path, "read"))?;
        of_npy(path, "the array", &bytes)?
    } else if start.starts_with(b"PK") {
        return of_npz(path, array);
    } else if is_hdf5(path)? {
        return of_hdf5(path, array);
    } else if path.extension().is_some_and(|ending| ending == "txt") {
        let text = std::fs::read_to_string(path).map_err(FileError::refused(path, "read"))?;
        Data::Texts(text.lines().map(|line| line.trim().to_owned()).collect())
    } else {
        return Err(of_another_kind(path, &start));
    };
    match array {
        None => Source { path: path.to_owned(), name: "the array".into(), data }.with_values(),
        Some(name) => {
            let advice = "remove the key `array` from the layout";
            Err(FileError::mismatch(
                path,
                name,
                "a file with several arrays",
                "one with a single array",
                advice,
            )
            .into())
        }
    }
}

fn of_another_kind(path: &Path, start: &[u8]) -> Error {
    let found = format!(
        "a file that begins with {:?}",
        String::from_utf8_lossy(&start[..start.len().min(8)])
    );
    let expected = "a .npy, .npz, HDF5 or MATLAB 7.3 file, or names in a .txt file";
    let advice = "convert the array to one of these, for example with numpy.save";
    FileError::mismatch(path, "kind of file", expected, found, advice).into()
}

fn of_npy(path: &Path, name: &str, bytes: &[u8]) -> Result<Data> {
    let Npy { shape, values } = Npy::parse(bytes).map_err(|problem| problem.of(path, name))?;
    Ok(match values {
        Values::Bytes(values) => Data::Bytes(shaped(&shape, values)),
        Values::Integers(values) => Data::Integers(shaped(&shape, values)),
        Values::Large(values) => {
            Data::Doubles(shaped(&shape, values.into_iter().map(|value| value as f64).collect()))
        }
        Values::Floats(values) => Data::Floats(shaped(&shape, values)),
        Values::Doubles(values) => Data::Doubles(shaped(&shape, values)),
        Values::Strings(values) => Data::Texts(values),
    })
}

fn shaped<T>(shape: &[usize], values: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(shape, values).expect("as many values as the shape says")
}

fn of_npz(path: &Path, array: Option<&str>) -> Result<Source> {
    let file = File::open(path).map_err(FileError::refused(path, "open"))?;
    let mut budget = Budget::of(file.metadata().map_err(FileError::refused(path, "read"))?.len());
    let opened = ZipArchive::new(BufReader::new(file));
    let mut archive = opened
        .map_err(|error| FileError::refused(path, "open as a .npz archive")(error).advise(WHOLE))?;
    let names: Vec<(usize, String)> = archive
        .file_names()
        .enumerate()
        .filter_map(|(index, name)| Some((index, name.ok()?.strip_suffix(".npy")?.to_owned())))
        .collect();
    let (index, name) = chosen(path, array, names, |(_, name)| name)?;
    let read = archive
        .by_index(index)
        .map_err(std::io::Error::from)
        .and_then(|member| budget.read(member));
    let bytes = read.map_err(|error| {
        FileError::refused(path, "unpack")(error).in_dataset(&name).advise(WHOLE)
    })?;
    Source { path: path.to_owned(), data: of_npy(path, &name, &bytes)?, name }.with_values()
}

/// The array with that name, or the only one.
fn chosen<T>(
    path: &Path,
    array: Option<&str>,
    mut arrays: Vec<T>,
    name: impl Fn(&T) -> &String,
) -> Result<T> {
    let place = match array {
        Some(wanted) => arrays.iter().position(|array| name(array) == wanted),
        None if arrays.len() == 1 => Some(0),
        None => None,
    };
    if let Some(place) = place {
        return Ok(arrays.swap_remove(place));
    }
    let more = if arrays.len() > NAMES_SHOWN { ", ..." } else { "" };
    let listed: Vec<&str> =
        arrays.iter().take(NAMES_SHOWN).map(|array| name(array).as_str()).collect();
    let (dataset, expected) = match array {
        Some(wanted) => (wanted, "an array of this name"),
        None => ("arrays", "one, or the key `array` that says which"),
    };
    let found =
        if listed.is_empty() { "none".to_owned() } else { format!("{}{more}", listed.join(", ")) };
    Err(FileError::mismatch(
        path,
        dataset,
        expected,
        found,
        "choose one in the layout: array = \"...\"",
    )
    .into())
}

fn of_hdf5(path: &Path, array: Option<&str>) -> Result<Source> {
    let input = Input::open(path)?;
    if input.has("neuroid_id").unwrap_or(false) && input.has("stimulus_id").unwrap_or(false) {
        let advice = "save its values and the images of its stimulus set as arrays, and describe them in a layout";
        return Err(FileError::mismatch(
            path,
            "kind of file",
            "arrays",
            "a BrainIO assembly",
            advice,
        )
        .into());
    }
    let name = match array {
        Some(name) if input.has(name)? => name.to_owned(),
        _ => {
            // MATLAB's internal entries begin with a number sign.
            let listed = brainprior_artifact::hdf5::list(path)?
                .into_keys()
                .filter(|name| !name.starts_with('#'));
            chosen(path, array, listed.collect(), |name| name)?
        }
    };
    let rank = input.shape(&name)?.map_or(0, |shape| shape.len());
    if rank == 1 && input.numbers(&name, &[None]).is_err() {
        return Ok(Source {
            path: path.to_owned(),
            data: Data::Texts(input.strings(&name)?),
            name,
        });
    }
    let numbers = input.numbers(&name, &vec![None; rank])?;
    let shape = numbers.shape();
    let mut data = match numbers.kind() {
        Kind::Byte => Data::Bytes(shaped(&shape, numbers.stored()?)),
        Kind::Whole => Data::Integers(shaped(&shape, numbers.integers()?)),
        Kind::Float => Data::Doubles(shaped(&shape, numbers.doubles()?)),
    };
    if input.is_of_matlab(&name)? {
        data = data.reversed();
    }
    Source { path: path.to_owned(), name, data }.with_values()
}

impl Data {
    fn reversed(self) -> Self {
        match self {
            Self::Bytes(array) => Self::Bytes(array.reversed_axes()),
            Self::Integers(array) => Self::Integers(array.reversed_axes()),
            Self::Floats(array) => Self::Floats(array.reversed_axes()),
            Self::Doubles(array) => Self::Doubles(array.reversed_axes()),
            Self::Texts(texts) => Self::Texts(texts),
        }
    }

    /// The name of its type in messages.
    pub(super) fn dtype(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "u8",
            Self::Integers(_) => "whole numbers",
            Self::Floats(_) => "f32",
            Self::Doubles(_) => "f64",
            Self::Texts(_) => "text",
        }
    }
}

impl Source {
    /// Returns the array, or an error if it is empty.
    fn with_values(self) -> Result<Self> {
        let shape = self.shape();
        match shape.contains(&0) {
            true => Err(self
                .mismatch(
                    "values",
                    format!("none, in shape {shape:?}"),
                    "choose an array with values",
                )
                .into()),
            false => Ok(self),
        }
    }

    pub(super) fn shape(&self) -> Vec<usize> {
        match &self.data {
            Data::Bytes(array) => array.shape().to_vec(),
            Data::Integers(array) => array.shape().to_vec(),
            Data::Floats(array) => array.shape().to_vec(),
            Data::Doubles(array) => array.shape().to_vec(),
            Data::Texts(texts) => vec![texts.len()],
        }
    }

    /// The name of the file in messages.
    pub(super) fn shown(&self) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        if self.name == "the array" { file.into_owned() } else { format!("{file}, {}", self.name) }
    }

    pub(super) fn mismatch(
        &self,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: &'static str,
    ) -> FileError {
        FileError::mismatch(&self.path, &self.name, expected, found, advice)
    }

    /// Checks that the array has as many axes as the layout names.
    pub(super) fn check_rank<A: std::fmt::Debug>(&self, axes: &[A]) -> Result<()> {
        let shape = self.shape();
        if shape.len() == axes.len() {
            return Ok(());
        }
        let expected = format!("{} axes, {}", axes.len(), format!("{axes:?}").to_lowercase());
        let advice = "name all axes of the array in the layout, in order";
        Err(self.mismatch(expected, format!("shape {shape:?}"), advice).into())
    }

    /// Numbers as f64.
    pub(super) fn doubles(&self) -> Result<ArrayD<f64>> {
        Ok(match &self.data {
            Data::Bytes(array) => array.mapv(f64::from),
            Data::Integers(array) => array.mapv(|value| value as f64),
            Data::Floats(array) => array.mapv(f64::from),
            Data::Doubles(array) => array.clone(),
            Data::Texts(_) => {
                return Err(self.mismatch("numbers", "text", "choose a numeric array").into());
            }
        })
    }

    /// Integers along one axis; other axes may have size 1, as in MATLAB.
    pub(super) fn whole_numbers(&self) -> Result<Vec<i64>> {
        let shape = self.shape();
        if shape.iter().filter(|size| **size != 1).count() > 1 {
            return Err(self
                .mismatch("one axis", format!("shape {shape:?}"), "give it one number per trial")
                .into());
        }
        let whole = |(row, value): (usize, f64)| match value.fract() == 0.0 && value.abs() < 1e15 {
            true => Ok(value as i64),
            false => Err(self
                .mismatch(
                    "whole numbers",
                    format!("{value} in row {row}"),
                    "leave that trial out of every array",
                )
                .into()),
        };
        self.doubles()?.iter().copied().enumerate().map(whole).collect()
    }
}
