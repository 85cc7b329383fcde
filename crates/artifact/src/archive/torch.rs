//! PyTorch state dicts (`torch.save`), in a zip or, as until 2020, in a sequence of pickles. No
//! function of a pickle is called. The error for a file that needs more than tensors has a line of
//! Python that converts it to a state dict.

use super::Stored;
use crate::pickle::{Fault, Item, Pickle, Problem};
use crate::{FileError, Result};
use safetensors::tensor::Dtype;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

/// The start of a sequence of pickles: the pickle of the number 0x1950a86a20f9469cfc6c.
const ROW: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Functions and types that a pickle of tensors and plain values may name.
const KNOWN: [&str; 18] = [
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "builtins.set",
    "builtins.dict",
    "__builtin__.set",
    "__builtin__.dict",
    REBUILD,
    "torch._utils._rebuild_tensor",
    PARAMETER,
    "torch.Size",
    "torch.device",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
];
const REBUILD: &str = "torch._utils._rebuild_tensor_v2";
const PARAMETER: &str = "torch._utils._rebuild_parameter";

/// Keys under which training scripts store a state dict.
const NESTED: [&str; 2] = ["state_dict", "model"];
/// How deep they nest it.
const DEPTH: usize = 3;

/// PyTorch's own limit. Many tensors may share one list of sizes, but here each tensor has a copy.
const MOST_AXES: usize = 64;
/// A storage key is usually a number. Many tensors may share one, but here each tensor has a copy.
const LONGEST_KEY: usize = 64;

const CUT: &str = "the file is truncated or damaged: copy it again";

/// Tensors, and the names of everything else in the file.
pub(super) struct StateDict {
    pub(super) tensors: BTreeMap<String, Stored>,
    pub(super) beside: Vec<String>,
}

/// A tensor as described by the pickle.
struct Described {
    name: String,
    storage: String,
    dtype: Dtype,
    /// Offset of the first number in the storage.
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// Whether a file that begins with `bytes` is a PyTorch file.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(ROW) || is_pickle(bytes)
}

/// The header of a safetensors file would be JSON.
fn is_pickle(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x80) && bytes.get(8) != Some(&b'{')
}

/// Reads the tensors in `bytes`; tensors that are not contiguous are appended to `bytes` in C
/// order.
pub(super) fn read(path: &Path, bytes: &mut Vec<u8>) -> Result<StateDict> {
    let (mut described, beside, storages) = if bytes.starts_with(ROW) {
        of_row(path, bytes)?
    } else if bytes.starts_with(b"PK") {
        of_zip(path, bytes)?
    } else {
        let advice = "save the state dict with torch.save";
        return Err(FileError::mismatch(
            path,
            "the file",
            "what torch.save writes",
            "another pickle",
            advice,
        ));
    };
    described.sort_by(|a, b| a.name.cmp(&b.name));
    // Tensors may share numbers, as tied weights do. But a small file must not hold one large
    // tensor many times.
    let length = bytes.len();
    let total =
        described.iter().try_fold(0usize, |total, tensor| total.checked_add(tensor.bytes()?));
    if total.is_none_or(|total| total > 2 * length) {
        let found =
            total.map_or("more than 2^64 bytes".to_owned(), |total| format!("{total} bytes"));
        let advice = ".clone() the tensors before saving, so that they share no numbers";
        return Err(FileError::mismatch(
            path,
            "tensors",
            format!("no more than twice the {length} bytes of the file"),
            found,
            advice,
        ));
    }
    bytes.reserve_exact(
        described
            .iter()
            .filter(|tensor| !tensor.is_contiguous())
            .filter_map(Described::bytes)
            .sum(),
    );
    let mut tensors = BTreeMap::new();
    for tensor in described {
        let at = |expected: String, found: String| {
            FileError::mismatch(path, tensor.name.as_str(), expected, found, CUT)
        };
        let Some(storage) = storages.get(&tensor.storage) else {
            return Err(at(format!("the numbers {}", tensor.storage), "none with that key".into()));
        };
        let (Some(end), Some(size)) = (tensor.end(), tensor.bytes()) else {
            return Err(at(
                "a size that does not overflow".into(),
                format!("shape {:?}", tensor.shape),
            ));
        };
        if end > storage.len() || size > storage.len() {
            return Err(at(
                format!("at least {} bytes of numbers", end.max(size)),
                storage.len().to_string(),
            ));
        }
        let width = width(tensor.dtype);
        // The offset of an empty tensor is arbitrary.
        let first = storage.start + if size > 0 { tensor.offset * width } else { 0 };
        let from = if tensor.is_contiguous() {
            first
        } else {
            let start = bytes.len();
            tensor.for_each_offset(|offset| {
                let place = first + offset * width;
                bytes.extend_from_within(place..place + width);
            });
            start
        };
        let stored = Stored { dtype: tensor.dtype, shape: tensor.shape, bytes: from..from + size };
        tensors.insert(tensor.name, stored);
    }
    Ok(StateDict { tensors, beside })
}

type Parts = (Vec<Described>, Vec<String>, HashMap<String, Range<usize>>);

fn of_zip(path: &Path, bytes: &[u8]) -> Result<Parts> {
    let unpacking =
        |source| FileError::refused(path, "list the members of the zip")(source).advise(CUT);
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unpacking)?;
    let mut members = HashMap::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(unpacking)?;
        let (size, start) =
            (member.size() as usize, member.data_start().unwrap_or(u64::MAX) as usize);
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        // The top-level folder is named after the original file.
        let name = name.split_once('/').map_or(name.clone(), |(_, name)| name.to_owned());
        if member.compression() != zip::CompressionMethod::Stored {
            let advice = "zip it without compression, as torch.save does";
            return Err(FileError::mismatch(
                path,
                name,
                "an uncompressed member",
                member.compression().to_string(),
                advice,
            ));
        }
        let end = start.checked_add(size).filter(|end| *end <= bytes.len());
        let Some(end) = end else {
            return Err(FileError::mismatch(
                path,
                name,
                format!("{size} bytes"),
                "the end of the file",
                CUT,
            ));
        };
        members.insert(name, start..end);
    }
    let Some(pickle) = members.get("data.pkl") else {
        let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.truncate(6);
        let advice = "give a state dict, as torch.save(model.state_dict(), FILE) writes it";
        return Err(FileError::mismatch(
            path,
            "the zip",
            "data.pkl, as torch.save writes it",
            names.join(", "),
            advice,
        ));
    };
    if members.get("byteorder").is_some_and(|order| &bytes[order.clone()] != b"little") {
        let advice = "save it on a little-endian machine";
        return Err(FileError::mismatch(path, "byteorder", "little", "another byte order", advice));
    }
    let of_pickle = |problem| refusal(path, problem);
    let (pickle, _) = Pickle::parse(&bytes[pickle.clone()], known).map_err(of_pickle)?;
    let (described, beside) = state_dict(pickle.root()).map_err(of_pickle)?;
    let storages = members
        .into_iter()
        .filter_map(|(name, place)| Some((name.strip_prefix("data/")?.to_owned(), place)));
    Ok((described, beside, storages.collect()))
}

/// Pickles, in order: the magic number above, the version, the machine, the tensors, and the keys
/// of the storages. Each storage follows: its count, then its numbers.
fn of_row(path: &Path, bytes: &[u8]) -> Result<Parts> {
    let of_pickle = |problem| refusal(path, problem);
    let next = |bytes| Pickle::parse(bytes, known).map_err(of_pickle);
    let (_, rest) = next(&bytes[ROW.len()..])?;
    let (machine, rest) = next(rest)?;
    if machine.root().entry("little_endian").ok().and_then(Item::integer) == Some(0) {
        let advice = "save it on a little-endian machine";
        return Err(FileError::mismatch(path, "byteorder", "little", "another byte order", advice));
    }
    let (object, rest) = next(rest)?;
    let (keys, mut rest) = next(rest)?;
    let (described, beside) = state_dict(object.root()).map_err(of_pickle)?;
    let widths = all_storages(&object);
    let mut storages = HashMap::new();
    for key in keys.root().texts().map_err(of_pickle)? {
        let cut = || {
            FileError::mismatch(
                path,
                format!("the storage {key}"),
                "as many numbers as the file states",
                "its end",
                CUT,
            )
        };
        let Some(width) = widths.get(key) else { return Err(cut()) };
        let (count, numbers) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let size = usize::try_from(i64::from_le_bytes(*count))
            .ok()
            .and_then(|count| count.checked_mul(*width));
        let (taken, others) =
            size.and_then(|size| numbers.split_at_checked(size)).ok_or_else(cut)?;
        let start = bytes.len() - numbers.len();
        storages.insert(key.to_owned(), start..start + taken.len());
        rest = others;
    }
    Ok((described, beside, storages))
}

fn known(name: &str) -> bool {
    KNOWN.contains(&name)
        || name == "_codecs.encode"
        || dtype_of_storage(name).is_some()
        || is_dtype(name)
}

/// For example `torch.float32`.
fn is_dtype(name: &str) -> bool {
    let name = name.strip_prefix("torch.").unwrap_or_default();
    ["float", "bfloat", "int", "uint", "complex"].iter().any(|kind| {
        name.strip_prefix(kind).is_some_and(|bits| {
            !bits.is_empty() && bits.bytes().all(|digit| digit.is_ascii_digit())
        })
    }) || name == "bool"
}

/// For example `torch.FloatStorage`, or `torch.cuda.FloatStorage` in files from before 2018.
fn dtype_of_storage(name: &str) -> Option<Dtype> {
    let name = name.strip_prefix("torch.")?;
    Some(match name.strip_prefix("cuda.").unwrap_or(name).strip_suffix("Storage")? {
        "Double" => Dtype::F64,
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::BOOL,
        _ => return None,
    })
}

fn width(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

/// The tensors of the state dict that an object is or holds, and the names of everything else.
fn state_dict(mut object: Item) -> std::result::Result<(Vec<Described>, Vec<String>), Problem> {
    let mut beside = vec![];
    let holds_tensors = |object: Item| {
        let is_tensor = |(_, value): &(Item, Item)| rebuilt(*value).is_some();
        let nested = |key: &str| object.entry(key).is_ok_and(|value| value.entries().is_some());
        object.entries().is_some_and(|entries| entries.iter().any(is_tensor))
            || NESTED.into_iter().any(nested)
    };
    for _ in 0..DEPTH {
        let nested = NESTED.into_iter().find(|key| object.entry(key).is_ok_and(holds_tensors));
        let Some(key) = nested else { break };
        let names =
            object.entries().unwrap_or_default().into_iter().filter_map(|(name, _)| name.text());
        let mut known = HashSet::from([key]);
        beside.extend(names.filter(|name| known.insert(*name)).map(str::to_owned));
        object = object.entry(key)?;
    }
    let Some(entries) = object.entries() else {
        let (expected, found) = ("a dictionary of tensors".into(), object.describe());
        return Err(Problem { expected, found, fault: Fault::Damaged });
    };
    // If a name occurs more than once, its last value counts.
    let (mut names, mut values) = (vec![], HashMap::new());
    for (name, value) in entries {
        let name: Cow<str> = name.text().map_or_else(|| name.describe().into(), Cow::Borrowed);
        if values.insert(name.clone(), value).is_none() {
            names.push(name);
        }
    }
    let mut tensors = vec![];
    for name in names {
        match rebuilt(values[&name]) {
            Some(arguments) => tensors.push(describe(name.into_owned(), arguments)?),
            None => beside.push(name.into_owned()),
        }
    }
    if tensors.is_empty() {
        let found = if beside.is_empty() {
            "nothing".into()
        } else {
            beside.iter().take(6).cloned().collect::<Vec<_>>().join(", ")
        };
        let expected = "a dictionary of tensors, or one under state_dict or model".into();
        return Err(Problem { expected, found, fault: Fault::Damaged });
    }
    Ok((tensors, beside))
}

/// The arguments of the call that would make a tensor.
fn rebuilt<'p, 'a>(value: Item<'p, 'a>) -> Option<Item<'p, 'a>> {
    match value.call()? {
        (REBUILD | "torch._utils._rebuild_tensor", arguments) => Some(arguments),
        (PARAMETER, arguments) => match arguments.items().ok()?.next()?.call()? {
            (REBUILD, arguments) => Some(arguments),
            _ => None,
        },
        _ => None,
    }
}

fn describe(name: String, arguments: Item) -> std::result::Result<Described, Problem> {
    let damaged = |expected: &str, found: Item| Problem {
        expected: format!("{expected} of {name}"),
        found: found.describe(),
        fault: Fault::Damaged,
    };
    let parts: Vec<Item> = arguments.items()?.collect();
    let [storage, offset, shape, strides, ..] = parts[..] else {
        return Err(damaged("storage, offset, shape and strides", arguments));
    };
    let sizes = |sizes: Item, what: &str| -> std::result::Result<Vec<usize>, Problem> {
        // A torch.Size is pickled as a call with a tuple.
        let sizes = match sizes.call() {
            Some(("torch.Size", arguments)) => arguments.items()?.next().unwrap_or(sizes),
            _ => sizes,
        };
        if sizes.items()?.len() > MOST_AXES {
            return Err(damaged(&format!("at most {MOST_AXES} axes"), sizes));
        }
        sizes
            .integers()?
            .into_iter()
            .map(|size| usize::try_from(size).map_err(|_| damaged(what, sizes)))
            .collect()
    };
    let (shape, strides) =
        (sizes(shape, "sizes of at least 0")?, sizes(strides, "strides of at least 0")?);
    let (key, dtype) =
        storage_of(storage).ok_or_else(|| damaged("a storage of a known type", storage))?;
    let offset = offset
        .integer()
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or_else(|| damaged("an offset", offset))?;
    if shape.len() != strides.len() {
        return Err(damaged("as many strides as sizes", arguments));
    }
    Ok(Described { storage: key, dtype, offset, shape, strides, name })
}

/// Key and type of the storage of a persistent ID: ("storage", type, key, device, count, ...).
fn storage_of(storage: Item) -> Option<(String, Dtype)> {
    let mut parts = storage.elsewhere()?.items().ok()?.skip(1);
    let (kind, key) = (parts.next()?, parts.next()?);
    let key = key.text().filter(|key| key.len() <= LONGEST_KEY)?;
    Some((key.to_owned(), dtype_of_storage(kind.global()?)?))
}

/// Bytes per number of every storage, also of storages that no tensor of the state dict uses.
fn all_storages(pickle: &Pickle) -> HashMap<String, usize> {
    pickle.all().filter_map(storage_of).map(|(key, dtype)| (key, width(dtype))).collect()
}

impl Described {
    fn bytes(&self) -> Option<usize> {
        self.shape.iter().try_fold(width(self.dtype), |product, size| product.checked_mul(*size))
    }

    /// How many bytes of the storage the tensor needs.
    fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let steps = self.shape.iter().zip(&self.strides);
        let last = steps
            .map(|(size, stride)| (size - 1).checked_mul(*stride))
            .try_fold(self.offset, |sum, step| sum.checked_add(step?))?;
        last.checked_add(1)?.checked_mul(width(self.dtype))
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1usize;
        self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let fits = *size <= 1 || *stride == expected;
            expected = expected.saturating_mul((*size).max(1));
            fits
        })
    }

    /// Visits the offset of each number in the storage, in C order.
    fn for_each_offset(&self, mut visit: impl FnMut(usize)) {
        let mut index = vec![0; self.shape.len()];
        if self.shape.contains(&0) {
            return;
        }
        loop {
            visit(index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum());
            let Some(axis) =
                (0..index.len()).rev().find(|axis| index[*axis] + 1 < self.shape[*axis])
            else {
                return;
            };
            index[axis] += 1;
            index[axis + 1..].fill(0);
        }
    }
}

fn refusal(path: &Path, problem: Problem) -> FileError {
    let advice = match problem.fault {
        Fault::Cut => CUT.to_owned(),
        Fault::Damaged => {
            "give a state dict, as torch.save(model.state_dict(), FILE) writes it".to_owned()
        }
        Fault::Program => {
            let (old, new) = (path.display(), path.with_extension("weights.pt"));
            format!(
                "a pickle is a program, and no part of it was run; if you trust the file, let PyTorch run it and save only the tensors: \
                 python -c \"import torch; m = torch.load('{old}', map_location='cpu', weights_only=False); \
                 m = m.get('state_dict', m.get('model', m)) if isinstance(m, dict) else m; \
                 torch.save(m if isinstance(m, dict) else m.state_dict(), '{}')\"",
                new.display()
            )
        }
    };
    FileError::mismatch(path, "the pickle", problem.expected, problem.found, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence of pickles whose dictionary has an entry `w`, a tensor with this many axes of
    /// size one, and `others`.
    fn row(axes: usize, key: &str, others: &[u8]) -> Vec<u8> {
        let text =
            |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let ones = [b"(", &b"K\x01".repeat(axes)[..], b"t"].concat();
        let storage = [
            b"(",
            &text("storage")[..],
            b"ctorch\nFloatStorage\n",
            &text(key),
            &text("cpu"),
            b"K\x01tQ",
        ]
        .concat();
        let tensor =
            [b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage[..], b"K\x00", &ones, &ones, b"tR"]
                .concat();
        let object = [b"\x80\x02}", &text("w")[..], &tensor, b"s", others, b"."].concat();
        let keys = [b"\x80\x02]", &text(key)[..], b"a."].concat();
        [ROW, b"\x80\x02K\x01.\x80\x02}.", &object, &keys, &1i64.to_le_bytes(), &1f32.to_le_bytes()]
            .concat()
    }

    #[test]
    fn what_tensors_share_is_short_and_a_name_is_kept_once() {
        let read = |mut bytes: Vec<u8>| super::read(Path::new("row.pth"), &mut bytes);
        assert_eq!(read(row(64, "0", b"")).unwrap().tensors["w"].shape, [1; 64]);
        let error = read(row(65, "0", b"")).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains(
                "row.pth: the pickle: expected at most 64 axes of w, found a tuple of 65"
            ),
            "{error}"
        );
        let error = read(row(1, &"0".repeat(65), b"")).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("a storage of a known type of w"), "{error}");
        // The same text, added to the dictionary as often as the file has bytes.
        let others =
            [b"X\x05\x00\x00\x00epochq\x00K\x01s", &b"h\x00K\x02s".repeat(100)[..]].concat();
        assert_eq!(read(row(1, "0", &others)).unwrap().beside, ["epoch"]);
    }
}
