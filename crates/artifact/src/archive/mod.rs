//! Tensors and one JSON header in a safetensors file.

mod damage;

use crate::{FileError, Result, replace};
pub use safetensors::tensor::{Dtype, TensorView, View};
use safetensors::tensor::{Metadata, SafeTensors};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The metadata entry that holds the header. It is the only entry: safetensors writes several in random order.
const HEADER: &str = "brainprior";

/// Tensors that an error lists where one is missing.
const NAMES_SHOWN: usize = 6;

/// Writes tensors with a header, whole or not at all. Equal contents give equal bytes, whatever the order of the tensors. The
/// tensors of candle are views.
///
/// # Errors
/// A header that JSON cannot hold; whatever the file system refuses.
pub fn write<N, V>(path: &Path, header: &impl Serialize, tensors: impl IntoIterator<Item = (N, V)>) -> Result<()>
where
    N: AsRef<str> + Ord + Display,
    V: View,
{
    let header = serde_json::to_string(header).map_err(FileError::refused(path, "describe the header as JSON"))?;
    write_noted(path, HEADER, &header, tensors)
}

/// As [`write()`], with one metadata entry of another key, which is text: for formats that are not brainprior's own.
///
/// # Errors
/// Whatever the file system refuses.
pub fn write_noted<N, V>(path: &Path, key: &str, text: &str, tensors: impl IntoIterator<Item = (N, V)>) -> Result<()>
where
    N: AsRef<str> + Ord + Display,
    V: View,
{
    let metadata = HashMap::from([(key.to_owned(), text.to_owned())]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(FileError::refused(path, "arrange the tensors"))?;
    replace::bytes(path, &bytes)
}

/// A file that was read whole, and whose tensors fill it.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the tensors begin.
    data: usize,
    metadata: Metadata,
    advice: &'static str,
}

impl Archive {
    /// Reads a file; `advice` says what to do where it holds something else than is asked for.
    ///
    /// # Errors
    /// A file that cannot be read, that is no safetensors file, that is cut short or damaged: with the tensor at fault, where
    /// the file still tells.
    pub fn read(path: &Path, advice: &'static str) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(FileError::refused(path, "read"))?;
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|source| damage::explain(path, &bytes, &source))?;
        Ok(Self { path: path.to_owned(), data: size_of::<u64>() + header, bytes, metadata, advice })
    }

    /// The header.
    ///
    /// # Errors
    /// A file without one, or with one of another content.
    pub fn header<H: DeserializeOwned>(&self) -> Result<H> {
        let text = self.note(HEADER).ok_or_else(|| self.mismatch("metadata", format!("an entry {HEADER}"), "none"))?;
        serde_json::from_str(text).map_err(|error| self.mismatch("metadata", "the header of such a file", error.to_string()))
    }

    /// The text of a metadata entry.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// Names of all tensors, in the order of the alphabet.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names
    }

    /// A tensor, whatever its type and shape.
    ///
    /// # Errors
    /// A name that no tensor has, with those that there are.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        let Some(info) = self.metadata.info(name) else {
            let names = self.names();
            let more = if names.len() > NAMES_SHOWN { ", ..." } else { "" };
            let found = match names.len() {
                0 => "none".to_owned(),
                count => format!("none, only {}{more}", names[..count.min(NAMES_SHOWN)].join(", ")),
            };
            return Err(self.mismatch(name, "a tensor of this name", found));
        };
        let (from, to) = info.data_offsets;
        let bytes = &self.bytes[self.data + from..self.data + to];
        TensorView::new(info.dtype, info.shape.clone(), bytes)
            .map_err(|error| FileError::refused(&self.path, "read")(error).in_dataset(name))
    }

    /// A tensor of this type and shape.
    ///
    /// # Errors
    /// As [`Archive::tensor`]; a tensor of another type or shape.
    pub fn tensor_of(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<TensorView<'_>> {
        let tensor = self.tensor(name)?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(self.mismatch(name, format!("{dtype:?} {shape:?}"), found));
        }
        Ok(tensor)
    }

    /// The numbers of a tensor of this shape, the last dimension running fastest.
    ///
    /// # Errors
    /// As [`Archive::tensor_of`].
    pub fn values<T: Element>(&self, name: &str, shape: &[usize]) -> Result<Vec<T>> {
        Ok(T::from_bytes(self.tensor_of(name, T::DTYPE, shape)?.data()))
    }

    /// An error of this file: `dataset`, a tensor or the header, is another than it should be.
    pub fn mismatch(&self, dataset: &str, expected: impl Into<String>, found: impl Into<String>) -> FileError {
        FileError::mismatch(&self.path, dataset, expected, found, self.advice)
    }
}

/// A type of numbers in a tensor.
pub trait Element: Sized {
    /// What safetensors calls it.
    const DTYPE: Dtype;

    /// Numbers from their bytes, the least significant first.
    fn from_bytes(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! elements {
    ($($number:ty: $dtype:ident),*) => {
        $(impl Element for $number {
            const DTYPE: Dtype = Dtype::$dtype;

            fn from_bytes(bytes: &[u8]) -> Vec<Self> {
                let (numbers, _) = bytes.as_chunks();
                numbers.iter().map(|bytes| Self::from_le_bytes(*bytes)).collect()
            }
        })*
    };
}

elements!(u8: U8, i32: I32, i64: I64, f32: F32, f64: F64);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::fs;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("weights.safetensors");
        let (weights, labels) = (bytes(&[1.5, -2.0, 0.25, 8.0]), [3u8, 1]);
        let views = [
            ("weights", TensorView::new(Dtype::F32, vec![2, 2], &weights).unwrap()),
            ("labels", TensorView::new(Dtype::U8, vec![2], &labels).unwrap()),
        ];
        write(&path, &json!({ "format": "test", "version": 1 }), views).unwrap();
        path
    }

    #[test]
    fn tensors_and_header_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let file = Archive::read(&path, "write it again").unwrap();
        assert_eq!(file.header::<Value>().unwrap(), json!({ "format": "test", "version": 1 }));
        assert_eq!(file.names(), ["labels", "weights"]);
        assert_eq!(file.values::<f32>("weights", &[2, 2]).unwrap(), [1.5, -2.0, 0.25, 8.0]);
        assert_eq!(file.values::<u8>("labels", &[2]).unwrap(), [3, 1]);
        assert_eq!(file.tensor("weights").unwrap().shape(), [2, 2]);
        assert_eq!(file.note("class_names"), None);
    }

    #[test]
    fn equal_contents_give_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let first = fs::read(&path).unwrap();
        let file = Archive::read(&path, "").unwrap();
        let reversed = file.names().into_iter().map(|name| (name.clone(), file.tensor(&name).unwrap()));
        let other = folder.path().join("other.safetensors");
        write(&other, &file.header::<Value>().unwrap(), reversed).unwrap();
        assert_eq!(fs::read(&other).unwrap(), first);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let file = Archive::read(&path, "write it again").unwrap();
        let message = |error: FileError| error.to_string();
        let start = path.display();
        assert_eq!(
            message(file.tensor("bias").unwrap_err()),
            format!("{start}: bias: expected a tensor of this name, found none, only labels, weights; write it again")
        );
        assert_eq!(
            message(file.values::<f64>("weights", &[2, 2]).unwrap_err()),
            format!("{start}: weights: expected F64 [2, 2], found F32 [2, 2]; write it again")
        );
        assert!(message(file.header::<Vec<u8>>().unwrap_err()).contains("metadata: expected the header of such a file"));
        let foreign = folder.path().join("foreign.safetensors");
        write_noted(&foreign, "class_names", "cat\ndog", std::iter::empty::<(&str, TensorView)>()).unwrap();
        let file = Archive::read(&foreign, "write it again").unwrap();
        assert_eq!(file.note("class_names"), Some("cat\ndog"));
        assert!(message(file.header::<Value>().unwrap_err()).contains("metadata: expected an entry brainprior, found none"));
        assert!(message(file.tensor("x").unwrap_err()).contains("found none; write it again"));
    }
}
