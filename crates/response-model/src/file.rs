//! Tensors and a JSON header in one safetensors file, written whole or not at all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::variables::{State, Variables};

/// The only key of the file's metadata: its order in the file would not be fixed for two.
const HEADER_KEY: &str = "brainprior";

/// Writes `tensors` and `header` to a temporary file beside `path`, syncs it and renames it.
pub(crate) fn write(path: &Path, header: &impl Serialize, tensors: BTreeMap<String, Tensor>) -> Result<()> {
    let header = serde_json::to_string(header).expect("a header is plain data");
    let metadata = [(HEADER_KEY.to_owned(), header)].into_iter().collect();
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|e| damaged(path, "tensors", &e.to_string(), "a writable set"))?;
    write_bytes(path, &bytes)
}

/// Writes `value` as readable JSON, in the same way.
pub(crate) fn write_text(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("a header is plain data") + "\n";
    write_bytes(path, text.as_bytes())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

/// A file that was read whole.
pub(crate) struct Contents<H> {
    path: PathBuf,
    pub(crate) header: H,
    tensors: BTreeMap<String, Tensor>,
}

impl<H: DeserializeOwned> Contents<H> {
    /// Reads `path`, whose header is an `H` written by `format`.
    pub(crate) fn read(path: &Path, format: &'static str) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let not_safetensors = |e: safetensors::SafeTensorError| damaged(path, "file", &e.to_string(), "a whole safetensors file");
        let (_, metadata): (usize, Metadata) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors)?;
        let header = metadata.metadata().as_ref().and_then(|m| m.get(HEADER_KEY));
        let header = header.ok_or_else(|| damaged(path, "metadata", "no key `brainprior`", format))?;
        let header = serde_json::from_str(header).map_err(|e| damaged(path, "metadata `brainprior`", &e.to_string(), format))?;
        let views = SafeTensors::deserialize(&bytes).map_err(not_safetensors)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in views.iter() {
            let dtype = DType::try_from(view.dtype())?;
            tensors.insert(name.to_owned(), Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?);
        }
        Ok(Self { path: path.to_owned(), header, tensors })
    }

    /// The tensor `name`.
    pub(crate) fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| damaged(&self.path, name, "nothing", "a tensor"))
    }

    /// A vector of `len` values.
    pub(crate) fn vector<T: candle_core::WithDType>(&self, name: &str, len: usize) -> Result<Vec<T>> {
        let tensor = self.tensor(name)?;
        if tensor.dims() != [len] || tensor.dtype() != T::DTYPE {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.dims());
            return Err(damaged(&self.path, name, &found, &format!("{:?} [{len}]", T::DTYPE)));
        }
        Ok(tensor.to_vec1()?)
    }

    /// All tensors whose name starts with `prefix`, without it.
    pub(crate) fn under(&self, prefix: &str) -> State {
        let own = self.tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
        own.collect()
    }

    /// The state of `variables` under `prefix`, of the same names, types and shapes.
    pub(crate) fn state(&self, prefix: &str, variables: &Variables) -> Result<State> {
        let mut state = State::new();
        for (name, var) in variables {
            let full = format!("{prefix}{name}");
            let tensor = self.tensor(&full)?;
            if tensor.shape() != var.shape() || tensor.dtype() != DType::F32 {
                let found = format!("{:?} {:?}", tensor.dtype(), tensor.dims());
                return Err(damaged(&self.path, &full, &found, &format!("F32 {:?}", var.dims())));
            }
            state.insert(name.clone(), tensor.clone());
        }
        Ok(state)
    }
}

/// `what` of `path` is not what it should be.
pub(crate) fn damaged(path: &Path, what: &str, found: &str, expected: &str) -> Error {
    Error::File { path: path.to_owned(), what: what.to_owned(), found: found.to_owned(), expected: expected.to_owned() }
}
