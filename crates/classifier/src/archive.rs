//! Safetensors files, written so that a failed write leaves what was there.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// The one key of the header's metadata, whose value is JSON. One, because safetensors writes several in random order.
const METADATA: &str = "brainprior";

/// Tensors that an error lists where one is missing.
const NAMES_SHOWN: usize = 6;
/// How the name of a file in the making begins and ends.
const PARTIAL: [&str; 2] = [".checkpoint-", ".partial"];

/// The metadata of a file.
#[derive(Serialize, Deserialize)]
struct Header<M> {
    format: String,
    version: u32,
    #[serde(flatten)]
    more: M,
}

/// Writes tensors of f32, f64 and i64 with metadata.
pub(crate) fn write<M: Serialize>(
    path: &Path,
    format: &str,
    version: u32,
    more: M,
    tensors: BTreeMap<String, Tensor>,
) -> Result<()> {
    let failed = |doing| move |source| Error::File { path: path.to_owned(), doing, source };
    let header = Header { format: format.to_owned(), version, more };
    let header = serde_json::to_string(&header).map_err(std::io::Error::other).map_err(failed("describe"))?;
    let bytes: Vec<(&String, Dtype, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let (dtype, bytes) = to_bytes(tensor)?;
            Ok((name, dtype, tensor.dims(), bytes))
        })
        .collect::<Result<_>>()?;
    let views = bytes.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("a tensor has as many bytes as its shape says"))
    });
    let metadata = HashMap::from([(METADATA.to_owned(), header)]);
    let whole = safetensors::serialize(views, Some(metadata)).map_err(std::io::Error::other).map_err(failed("serialize"))?;

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .prefix(PARTIAL[0])
        .suffix(PARTIAL[1])
        .tempfile_in(folder)
        .map_err(failed("create a temporary file beside it"))?;
    temporary.write_all(&whole).map_err(failed("write"))?;
    temporary.as_file().sync_all().map_err(failed("sync"))?;
    temporary.persist(path).map_err(|error| error.error).map_err(failed("rename the temporary file"))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder of"))
}

/// Removes what writes that were cut off left in a folder.
pub(crate) fn remove_partial(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PARTIAL[0]) && name.ends_with(PARTIAL[1]) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn to_bytes(tensor: &Tensor) -> Result<(Dtype, Vec<u8>)> {
    let flat = tensor.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::F64 => (Dtype::F64, flat.to_vec1::<f64>()?.into_iter().flat_map(f64::to_le_bytes).collect()),
        DType::I64 => (Dtype::I64, flat.to_vec1::<i64>()?.into_iter().flat_map(i64::to_le_bytes).collect()),
        _ => (Dtype::F32, flat.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect()),
    })
}

/// An opened file.
pub(crate) struct Archive<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    tensors: SafeTensors<'a>,
}

/// The bytes of a file.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), doing: "read", source })
}

impl<'a> Archive<'a> {
    pub(crate) fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::Layout {
            path: path.to_owned(),
            dataset: "header".into(),
            expected: "a safetensors header that agrees with the file".into(),
            found: format!("{error} in {} bytes", bytes.len()),
            advice: "the file is damaged or of another kind; train again or copy it again",
        })?;
        Ok(Self { path, bytes, tensors })
    }

    pub(crate) fn layout(&self, dataset: &str, expected: String, found: String) -> Error {
        let advice = "give a file that this version wrote, or one of an equal PyTorch module";
        Error::Layout { path: self.path.to_owned(), dataset: dataset.to_owned(), expected, found, advice }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.tensors.names()
    }

    /// The metadata, if the file says that it has this format.
    pub(crate) fn metadata<M: DeserializeOwned>(&self, format: &str, version: u32) -> Result<M> {
        let unreadable = |error: String| self.layout("metadata", format!("JSON of {format}"), error);
        let (_, header) = SafeTensors::read_metadata(self.bytes).map_err(|error| unreadable(error.to_string()))?;
        let text =
            header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA)).ok_or_else(|| unreadable("none".into()))?;
        let header: Header<M> = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if (header.format.as_str(), header.version) != (format, version) {
            let found = format!("{}, version {}", header.format, header.version);
            return Err(self.layout("metadata", format!("{format}, version {version}"), found));
        }
        Ok(header.more)
    }

    pub(crate) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.view(name)?.shape().to_vec())
    }

    fn view(&self, name: &str) -> Result<TensorView<'a>> {
        self.tensors.tensor(name).map_err(|_| {
            let mut names = self.names();
            names.sort_unstable();
            let more = if names.len() > NAMES_SHOWN { ", ..." } else { "" };
            names.truncate(NAMES_SHOWN);
            self.layout(name, "a tensor".into(), format!("none, only {}{more}", names.join(", ")))
        })
    }

    /// A tensor of the type and shape asked for.
    pub(crate) fn tensor(&self, name: &str, dtype: DType, shape: &[usize]) -> Result<Tensor> {
        let view = self.view(name)?;
        let wanted = match dtype {
            DType::F64 => Dtype::F64,
            DType::I64 => Dtype::I64,
            _ => Dtype::F32,
        };
        if view.dtype() != wanted || view.shape() != shape {
            let found = format!("{:?} {:?}", view.dtype(), view.shape());
            return Err(self.layout(name, format!("{wanted:?} {shape:?}"), found));
        }
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, shape, &Device::Cpu)?;
        if dtype == DType::F32
            && let Some(index) = tensor.flatten_all()?.to_vec1::<f32>()?.iter().position(|value| !value.is_finite())
        {
            return Err(self.layout(name, "finite numbers".into(), format!("element {index} that is not")));
        }
        Ok(tensor)
    }
}
