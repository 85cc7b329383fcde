//! Safetensors files of tensors and one JSON header; also reads network weights from PyTorch files.

mod damage;
mod torch;

use crate::{FileError, Result, replace};
use half::{bf16, f16};
use safetensors::tensor::SafeTensors;
pub use safetensors::tensor::{Dtype, TensorView, View};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The metadata entry that holds the header. It is the only entry, since safetensors writes several
/// in random order.
const HEADER: &str = "brainprior";

/// How many tensor names an error lists if one is missing.
const NAMES_SHOWN: usize = 6;

/// Atomically writes tensors with a header. Equal contents give equal bytes, whatever the order of
/// the tensors. Candle tensors are views.
///
/// # Errors
/// Returns [`FileError`] if JSON cannot represent the header or the file cannot be written.
pub fn write<N, V>(
    path: &Path,
    header: &impl Serialize,
    tensors: impl IntoIterator<Item = (N, V)>,
) -> Result<()>
where
    N: AsRef<str> + Ord + Display,
    V: View,
{
    let header = serde_json::to_string(header)
        .map_err(FileError::refused(path, "write the header as JSON"))?;
    write_noted(path, HEADER, &header, tensors)
}

/// Like [`write()`], but with one text entry of another metadata key: for formats that are not
/// brainprior's own.
///
/// # Errors
/// Returns [`FileError`] if the file cannot be written.
pub fn write_noted<N, V>(
    path: &Path,
    key: &str,
    text: &str,
    tensors: impl IntoIterator<Item = (N, V)>,
) -> Result<()>
where
    N: AsRef<str> + Ord + Display,
    V: View,
{
    let metadata = HashMap::from([(key.to_owned(), text.to_owned())]);
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(FileError::refused(path, "arrange the tensors"))?;
    replace::bytes(path, &bytes)
}

/// A file read into memory as a whole, with the tensors in it.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
    tensors: BTreeMap<String, Stored>,
    metadata: HashMap<String, String>,
    /// Names of other content of the file.
    beside: Vec<String>,
    advice: &'static str,
}

/// A tensor within the bytes of a file.
#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// Prefixes that data-parallel training and compilation add to the names of a network's tensors.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

impl Archive {
    /// Reads a file; `advice` says what to do if its content is not what is later asked for.
    ///
    /// # Errors
    /// Returns [`FileError`] if the file cannot be read, is not safetensors, or is truncated or
    /// damaged. The error names the tensor at fault if the header can still be parsed.
    pub fn read(path: &Path, advice: &'static str) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(FileError::refused(path, "read"))?;
        Self::from_bytes(path, bytes, advice)
    }

    /// Reads the weights of a network from safetensors, like [`Archive::read`], or from a file that
    /// `torch.save` wrote (`.pt`, `.pth`): a state dict, or a dictionary that holds one under
    /// `state_dict` or `model`. The prefixes `module.` and `_orig_mod.` are removed from the names.
    /// Anything next to the state dict, or without such a prefix if others have it, is left out
    /// ([`Archive::left_out`]).
    ///
    /// A pickle is read as data: no function it names is called. Memory is bounded by three times
    /// the file's size.
    ///
    /// # Errors
    /// Returns [`FileError`] if [`Archive::read`] would, if a pickle names a function that does not
    /// make tensors (the error has a line of Python that converts the file), or if a tensor extends
    /// beyond the numbers in the file.
    pub fn read_weights(path: &Path, advice: &'static str) -> Result<Self> {
        let mut bytes = std::fs::read(path).map_err(FileError::refused(path, "read"))?;
        let mut beside = vec![];
        let mut archive = match torch::is_one(&bytes) {
            true => {
                let torch::StateDict { tensors, beside: others } = torch::read(path, &mut bytes)?;
                beside = others;
                Self {
                    path: path.to_owned(),
                    bytes,
                    tensors,
                    metadata: HashMap::new(),
                    beside: vec![],
                    advice,
                }
            }
            false => Self::from_bytes(path, bytes, advice)?,
        };
        while archive
            .tensors
            .keys()
            .any(|name| WRAPPERS.iter().any(|prefix| name.starts_with(prefix)))
        {
            for (name, tensor) in std::mem::take(&mut archive.tensors) {
                match WRAPPERS.iter().find_map(|prefix| name.strip_prefix(prefix)) {
                    Some(rest) => drop(archive.tensors.insert(rest.to_owned(), tensor)),
                    None => beside.push(name),
                }
            }
        }
        archive.beside = beside;
        Ok(archive)
    }

    /// Like [`Archive::read`] for the bytes of a safetensors file, which errors call `path`.
    ///
    /// # Errors
    /// Returns [`FileError`] if the bytes are not safetensors, or are truncated or damaged.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, advice: &'static str) -> Result<Self> {
        let (header, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|source| damage::explain(path, &bytes, &source))?;
        let start = size_of::<u64>() + header;
        let tensors = metadata.tensors().into_iter().map(|(name, info)| {
            let (from, to) = info.data_offsets;
            (
                name,
                Stored {
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    bytes: start + from..start + to,
                },
            )
        });
        let tensors = tensors.collect();
        let metadata = metadata.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.to_owned(), bytes, tensors, metadata, beside: vec![], advice })
    }

    /// Reads the header.
    ///
    /// # Errors
    /// Returns [`FileError`] if there is no header or it has other content.
    pub fn header<H: DeserializeOwned>(&self) -> Result<H> {
        let text = self
            .note(HEADER)
            .ok_or_else(|| self.mismatch("metadata", format!("an entry {HEADER}"), "none"))?;
        serde_json::from_str(text).map_err(|error| {
            self.mismatch("metadata", "a header of this kind of file", error.to_string())
        })
    }

    /// The text of a metadata entry.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    /// A warning that lists what else was in the file of a network and was left out.
    pub fn left_out(&self) -> Option<String> {
        let more = self.beside.len().saturating_sub(NAMES_SHOWN);
        let shown = self.beside[..self.beside.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let sentence = || {
            format!(
                "{}: ignored everything but the network's tensors: {shown}{more}",
                self.path.display()
            )
        };
        (!self.beside.is_empty()).then(sentence)
    }

    /// Returns a tensor of any type and shape.
    ///
    /// # Errors
    /// Returns [`FileError`], with the existing names, if no tensor has this name.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        let Some(stored) = self.tensors.get(name) else {
            let names = self.names();
            let more = if names.len() > NAMES_SHOWN { ", ..." } else { "" };
            let found = match names.len() {
                0 => "none".to_owned(),
                count => format!("none, only {}{more}", names[..count.min(NAMES_SHOWN)].join(", ")),
            };
            return Err(self.mismatch(name, "a tensor of this name", found));
        };
        TensorView::new(stored.dtype, stored.shape.clone(), &self.bytes[stored.bytes.clone()])
            .map_err(|error| FileError::refused(&self.path, "read")(error).in_dataset(name))
    }

    /// Returns a tensor of this type and shape.
    ///
    /// # Errors
    /// Returns [`FileError`] if there is no such tensor, or if it has another type or shape.
    pub fn tensor_of(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<TensorView<'_>> {
        let tensor = self.tensor(name)?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(self.mismatch(name, format!("{dtype:?} {shape:?}"), found));
        }
        Ok(tensor)
    }

    /// The numbers of a tensor of this shape, in C order.
    ///
    /// # Errors
    /// See [`Archive::tensor_of`].
    pub fn values<T: Element>(&self, name: &str, shape: &[usize]) -> Result<Vec<T>> {
        Ok(T::from_bytes(self.tensor_of(name, T::DTYPE, shape)?.data()))
    }

    /// The numbers of a floating-point tensor, in C order and as f32 (f64 is rounded), and its
    /// shape.
    ///
    /// # Errors
    /// Returns [`FileError`] if there is no such tensor or it holds integers.
    pub fn floats(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let tensor = self.tensor(name)?;
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F32 => f32::from_bytes(data),
            Dtype::F64 => f64::from_bytes(data).into_iter().map(|value| value as f32).collect(),
            Dtype::F16 => {
                data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            Dtype::BF16 => data
                .as_chunks()
                .0
                .iter()
                .map(|bytes| bf16::from_le_bytes(*bytes).to_f32())
                .collect(),
            other => {
                return Err(self.mismatch(
                    name,
                    "numbers in f16, bf16, f32 or f64",
                    format!("{other:?}"),
                ));
            }
        };
        Ok((tensor.shape().to_vec(), values))
    }

    /// An error about this file: the content of `dataset`, a tensor or the header, is not as
    /// expected.
    pub fn mismatch(
        &self,
        dataset: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> FileError {
        FileError::mismatch(&self.path, dataset, expected, found, self.advice)
    }
}

/// An element type of tensors.
pub trait Element: Sized {
    /// The name of the type in safetensors.
    const DTYPE: Dtype;

    /// Decodes little-endian numbers.
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
        let reversed =
            file.names().into_iter().map(|name| (name.clone(), file.tensor(&name).unwrap()));
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
            format!(
                "{start}: bias: expected a tensor of this name, found none, only labels, weights; write it again"
            )
        );
        assert_eq!(
            message(file.values::<f64>("weights", &[2, 2]).unwrap_err()),
            format!("{start}: weights: expected F64 [2, 2], found F32 [2, 2]; write it again")
        );
        assert!(
            message(file.header::<Vec<u8>>().unwrap_err())
                .contains("metadata: expected a header of this kind of file")
        );
        let foreign = folder.path().join("foreign.safetensors");
        write_noted(&foreign, "class_names", "cat\ndog", std::iter::empty::<(&str, TensorView)>())
            .unwrap();
        let file = Archive::read(&foreign, "write it again").unwrap();
        assert_eq!(file.note("class_names"), Some("cat\ndog"));
        assert!(
            message(file.header::<Value>().unwrap_err())
                .contains("metadata: expected an entry brainprior, found none")
        );
        assert!(message(file.tensor("x").unwrap_err()).contains("found none; write it again"));
    }
}
