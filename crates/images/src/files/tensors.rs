//! Labelled sets as safetensors (`data-specs/image-set.toml`).

use super::read;
use crate::{Error, LabeledImages, LabeledSplit, Result};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// Metadata entry with a class name a line.
const CLASS_NAMES: &str = "class_names";

pub(super) fn read_set(path: &Path) -> Result<LabeledSplit> {
    let bytes = read(path)?;
    let header = |source: SafeTensorError| broken_header(path, &bytes, source);
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(header)?;
    let file = SafeTensors::deserialize(&bytes).map_err(header)?;
    let train = Part::read(path, &file, "train")?;
    let test = Part::read(path, &file, "test")?;
    if train.shape != test.shape {
        return Err(layout(path, "test_images", train.describe(), test.describe(), "give both parts one image size"));
    }
    let listed = metadata.metadata().as_ref().and_then(|metadata| metadata.get(CLASS_NAMES));
    let class_names: Vec<String> = match listed {
        Some(names) => names.lines().map(str::to_owned).collect(),
        None => (0..=train.labels.iter().copied().max().unwrap_or(0)).map(|label| label.to_string()).collect(),
    };
    Ok(LabeledSplit { train: train.finish(path, &class_names)?, test: test.finish(path, &class_names)? })
}

pub(super) fn serialize(path: &Path, split: &LabeledSplit) -> Result<Vec<u8>> {
    let LabeledSplit { train, test } = split;
    let size = |images: &LabeledImages| format!("{} x {} x {}", images.channels(), images.height(), images.width());
    if size(train) != size(test) {
        return Err(layout(path, "test_images", size(train), size(test), "give both parts one image size"));
    }
    if train.class_names() != test.class_names() {
        let names = |images: &LabeledImages| format!("classes {}", images.class_names().join(", "));
        return Err(layout(path, "test_labels", names(train), names(test), "give both parts the same classes"));
    }
    let mut views = Vec::with_capacity(4);
    for (part, images) in [("train", train), ("test", test)] {
        let shape = vec![images.len(), images.channels(), images.height(), images.width()];
        let invalid = |source: SafeTensorError| layout(path, part, "tensors".into(), source.to_string(), "write another set");
        views.push((format!("{part}_images"), TensorView::new(Dtype::U8, shape, images.pixels()).map_err(invalid)?));
        let labels = TensorView::new(Dtype::U8, vec![images.len()], images.labels()).map_err(invalid)?;
        views.push((format!("{part}_labels"), labels));
    }
    // One entry only: the order of more than one would differ from write to write.
    let metadata = HashMap::from([(CLASS_NAMES.to_owned(), train.class_names().join("\n"))]);
    safetensors::serialize(views, Some(metadata))
        .map_err(|source| layout(path, "tensors", "a set that fits the format".into(), source.to_string(), "write another set"))
}

/// Training or test part, as it lies in the file.
struct Part<'a> {
    name: &'static str,
    /// Channels, height, width.
    shape: [usize; 3],
    images: &'a [u8],
    labels: &'a [u8],
}

impl<'a> Part<'a> {
    fn read(path: &Path, file: &SafeTensors<'a>, name: &'static str) -> Result<Self> {
        let images = bytes_of(path, file, &format!("{name}_images"))?;
        let labels = bytes_of(path, file, &format!("{name}_labels"))?;
        let (count, shape) = match *images.shape() {
            [count, channels @ (1 | 3), height, width] => (count, [channels, height, width]),
            _ => {
                let expected = "shape [images, channels (1 or 3), height, width]".into();
                let found = format!("{:?}", images.shape());
                return Err(layout(path, &format!("{name}_images"), expected, found, "put the channels first"));
            }
        };
        if labels.shape() != [count] {
            let found = format!("{:?}", labels.shape());
            let expected = format!("shape [{count}], a label for each image of {name}_images");
            return Err(layout(path, &format!("{name}_labels"), expected, found, "write one label an image"));
        }
        if count == 0 || shape.contains(&0) {
            let found = format!("{:?}", images.shape());
            return Err(layout(path, &format!("{name}_images"), "at least one image and one pixel".into(), found, "fill it"));
        }
        Ok(Self { name, shape, images: images.data(), labels: labels.data() })
    }

    fn describe(&self) -> String {
        let [channels, height, width] = self.shape;
        format!("images of {channels} x {height} x {width}")
    }

    fn finish(&self, path: &Path, class_names: &[String]) -> Result<LabeledImages> {
        let [channels, height, width] = self.shape;
        let images =
            LabeledImages::new(channels, height, width, self.images.to_vec(), self.labels.to_vec(), class_names.to_vec());
        images.map_err(|error| match error {
            Error::Label { record, found, classes } => layout(
                path,
                &format!("{}_labels, record {record}", self.name),
                format!("a label from 0 to {}", classes.saturating_sub(1)),
                found.to_string(),
                "correct the label, or the class_names of the metadata",
            ),
            other => other,
        })
    }
}

/// The U8 tensor `name`. The view borrows from the file's bytes, not from the parsed header.
fn bytes_of<'a>(path: &Path, file: &SafeTensors<'a>, name: &str) -> Result<TensorView<'a>> {
    let advice = "a set has train_images, train_labels, test_images and test_labels, all U8";
    let Ok(tensor) = file.tensor(name) else {
        let mut names = file.names();
        names.sort_unstable();
        return Err(layout(path, name, "a tensor of this name".into(), format!("only {}", names.join(", ")), advice));
    };
    if tensor.dtype() != Dtype::U8 {
        return Err(layout(path, name, "data type U8".into(), format!("{:?}", tensor.dtype()), advice));
    }
    Ok(tensor)
}

fn layout(path: &Path, dataset: &str, expected: String, found: String, advice: &'static str) -> Error {
    Error::Layout { path: path.into(), dataset: dataset.into(), expected, found, advice }
}

/// Why the header was refused, tensor by tensor where it can be read at all.
fn broken_header(path: &Path, bytes: &[u8], source: SafeTensorError) -> Error {
    let advice = "the file is cut short, damaged, or not safetensors: write or fetch it again";
    let Some((declared, rest)) = bytes.split_first_chunk::<8>().map(|(head, rest)| (u64::from_le_bytes(*head), rest)) else {
        return layout(path, "header", "at least 8 bytes".into(), format!("{} bytes", bytes.len()), advice);
    };
    let Some((text, data)) = usize::try_from(declared).ok().and_then(|length| rest.split_at_checked(length)) else {
        let found = format!("a header said to be {declared} bytes long");
        return layout(path, "header", format!("at most the {} bytes that follow", rest.len()), found, advice);
    };
    let tensors = match serde_json::from_slice::<Value>(text) {
        Ok(Value::Object(tensors)) => tensors,
        _ => return layout(path, "header", "a JSON object".into(), source.to_string(), advice),
    };
    let mut end = 0;
    for (name, tensor) in tensors.iter().filter(|(name, _)| *name != "__metadata__") {
        let numbers = |key: &str| tensor[key].as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>();
        let (Some(shape), Some(offsets)) = (numbers("shape"), numbers("data_offsets")) else {
            return layout(path, name, "dtype, shape and data_offsets".into(), tensor.to_string(), advice);
        };
        let [from, to] = offsets[..] else {
            return layout(path, name, "two data_offsets".into(), format!("{offsets:?}"), advice);
        };
        end = end.max(to);
        let elements = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let bits = tensor["dtype"].as_str().and_then(bits_of);
        let size = elements.zip(bits).and_then(|(elements, bits)| elements.checked_mul(bits)).map(|bits| bits / 8);
        if to < from || to > data.len() as u64 {
            let expected = format!("data_offsets within the {} bytes after the header", data.len());
            return layout(path, name, expected, format!("{from} to {to}"), advice);
        }
        if size.is_some_and(|size| size != to - from) || elements.is_none() {
            let expected = format!(
                "{} bytes for {} {shape:?}",
                size.map_or("more than 2^64".into(), |size| size.to_string()),
                tensor["dtype"]
            );
            return layout(path, name, expected, format!("data_offsets {from} to {to}, which is {} bytes", to - from), advice);
        }
    }
    if end != data.len() as u64 {
        return layout(
            path,
            "header",
            format!("tensors that fill the {} bytes after it", data.len()),
            format!("{end} bytes"),
            advice,
        );
    }
    layout(path, "header", "that of a safetensors file".into(), source.to_string(), advice)
}

fn bits_of(dtype: &str) -> Option<u64> {
    match dtype {
        "U8" | "I8" | "BOOL" => Some(8),
        "U16" | "I16" | "F16" | "BF16" => Some(16),
        "U32" | "I32" | "F32" => Some(32),
        "U64" | "I64" | "F64" => Some(64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::read_labeled;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A tensor as header and bytes.
    struct Tensor(&'static str, &'static str, Vec<usize>, Vec<u8>);

    fn valid() -> Vec<Tensor> {
        vec![
            Tensor("train_images", "U8", vec![3, 1, 2, 2], (0..12).collect()),
            Tensor("train_labels", "U8", vec![3], vec![0, 2, 1]),
            Tensor("test_images", "U8", vec![2, 1, 2, 2], (20..28).collect()),
            Tensor("test_labels", "U8", vec![2], vec![1, 1]),
        ]
    }

    /// Written by hand, so that headers can lie.
    fn write(folder: &Path, tensors: &[Tensor], change: impl Fn(String) -> String) -> PathBuf {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for Tensor(name, dtype, shape, bytes) in tensors {
            let from = data.len();
            data.extend_from_slice(bytes);
            entries.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{}]}}"#, data.len()));
        }
        let header = change(format!("{{{}}}", entries.join(",")));
        let path = folder.join("set.safetensors");
        fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()).unwrap();
        path
    }

    #[track_caller]
    fn refused(path: &Path, parts: &[&str]) {
        let error = read_labeled(path).unwrap_err().to_string();
        for part in parts.iter().chain(&["set.safetensors"]) {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    fn same(header: String) -> String {
        header
    }

    #[test]
    fn classes_are_numbered_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let split = read_labeled(&write(folder.path(), &valid(), same)).unwrap();
        assert_eq!(split.train.class_names(), ["0", "1", "2"]);
        assert_eq!(split.test.image(1), [24, 25, 26, 27]);
        let named = |header: String| header.replacen('{', r#"{"__metadata__":{"class_names":"cat\ndog\nfox"},"#, 1);
        let split = read_labeled(&write(folder.path(), &valid(), named)).unwrap();
        assert_eq!(split.test.class_names(), ["cat", "dog", "fox"]);
        let too_few = |header: String| header.replacen('{', r#"{"__metadata__":{"class_names":"cat\ndog"},"#, 1);
        refused(&write(folder.path(), &valid(), too_few), &["train_labels, record 1", "0 to 1", "found 2"]);
    }

    #[test]
    fn a_label_that_training_never_has() {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = valid();
        tensors[3].3 = vec![1, 9];
        refused(&write(folder.path(), &tensors, same), &["test_labels, record 1", "0 to 2", "found 9"]);
    }

    #[test]
    fn tensors_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = valid();
        tensors.remove(3);
        refused(&write(folder.path(), &tensors, same), &["test_labels", "only test_images, train_images, train_labels"]);
        let mut tensors = valid();
        (tensors[0].1, tensors[0].2) = ("F32", vec![3, 1, 1, 1]);
        refused(&write(folder.path(), &tensors, same), &["train_images", "U8", "F32"]);
        let mut tensors = valid();
        tensors[0].2 = vec![3, 2, 2, 1];
        refused(&write(folder.path(), &tensors, same), &["train_images", "channels", "[3, 2, 2, 1]"]);
        let mut tensors = valid();
        tensors[1].2 = vec![3, 1];
        refused(&write(folder.path(), &tensors, same), &["train_labels", "[3]", "[3, 1]"]);
        let mut tensors = valid();
        tensors[2].2 = vec![2, 1, 1, 4];
        refused(&write(folder.path(), &tensors, same), &["test_images", "1 x 2 x 2", "1 x 1 x 4"]);
        let mut tensors = valid();
        (tensors[2].2, tensors[2].3, tensors[3].2, tensors[3].3) = (vec![0, 1, 2, 2], vec![], vec![0], vec![]);
        refused(&write(folder.path(), &tensors, same), &["test_images", "at least one image"]);
    }

    #[test]
    fn headers_that_lie() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &valid(), |header| header.replace("[3, 1, 2, 2]", "[900, 1, 2, 2]"));
        refused(&path, &["train_images", "3600 bytes", "12 bytes"]);
        let path = write(folder.path(), &valid(), |header| header.replace("[23,25]", "[23,2700]"));
        refused(&path, &["test_labels", "within the 25 bytes", "23 to 2700"]);
        let huge = "[18446744073709551615, 18446744073709551615, 2, 2]";
        refused(&write(folder.path(), &valid(), |header| header.replace("[3, 1, 2, 2]", huge)), &["train_images", "2^64"]);
        refused(&write(folder.path(), &valid(), |header| header[1..].to_owned()), &["header", "JSON object"]);
    }

    #[test]
    fn files_that_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &valid(), same);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        refused(&path, &["test_labels", "within the 24 bytes"]);
        fs::write(&path, [&whole[..], &[0; 7]].concat()).unwrap();
        refused(&path, &["header", "fill the 32 bytes", "25 bytes"]);
        fs::write(&path, &whole[..40]).unwrap();
        refused(&path, &["header", "at most the 32 bytes"]);
        fs::write(&path, &whole[..5]).unwrap();
        refused(&path, &["header", "found 5 bytes"]);
    }
}
