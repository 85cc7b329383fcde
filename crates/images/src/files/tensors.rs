//! Labeled sets as safetensors (`data-specs/image-set.toml`).

use crate::{Error, LabeledImages, LabeledSplit, Result};
use brainprior_artifact::FileError;
use brainprior_artifact::archive::{self, Archive, Dtype, TensorView};
use std::path::Path;

/// Metadata entry with the class names.
const CLASS_NAMES: &str = "class_names";

/// What to do about a file that is not a labeled set.
const ADVICE: &str = "a set has train_images, train_labels, test_images and test_labels, all U8";

pub(super) fn read_set(path: &Path) -> Result<LabeledSplit> {
    let file = Archive::read(path, ADVICE)?;
    let train = Part::read(path, &file, "train")?;
    let test = Part::read(path, &file, "test")?;
    if train.shape != test.shape {
        return Err(layout(
            path,
            "test_images",
            train.describe(),
            test.describe(),
            "give both parts one image size",
        ));
    }
    let class_names: Vec<String> = match file.note(CLASS_NAMES) {
        Some(listed) => names(path, listed)?,
        None => (0..=train.labels.iter().copied().max().unwrap_or(0))
            .map(|label| label.to_string())
            .collect(),
    };
    Ok(LabeledSplit {
        train: train.finish(path, &class_names)?,
        test: test.finish(path, &class_names)?,
    })
}

/// Parses class names: a JSON array of strings, one name per line, or one line with commas between
/// names.
fn names(path: &Path, listed: &str) -> Result<Vec<String>> {
    let listed = listed.trim();
    if listed.starts_with(['[', '{']) {
        return serde_json::from_str(listed).map_err(|_| {
            let advice = "list the names as a JSON array, or one per line";
            layout(
                path,
                &format!("metadata {CLASS_NAMES}"),
                "a JSON array of strings".into(),
                format!("{listed:?}"),
                advice,
            )
        });
    }
    let separator = if listed.contains('\n') { '\n' } else { ',' };
    let names: Vec<String> = listed.split(separator).map(|name| name.trim().to_owned()).collect();
    match names.iter().position(String::is_empty) {
        // Blank lines at the end are dropped; one between names would shift the classes after it.
        Some(class) => {
            let (expected, found) =
                (format!("a name for class {class}"), "a blank line".to_owned());
            Err(layout(
                path,
                &format!("metadata {CLASS_NAMES}"),
                expected,
                found,
                "name every class, in the order of the labels",
            ))
        }
        None => Ok(names),
    }
}

pub(super) fn write_set(path: &Path, split: &LabeledSplit) -> Result<()> {
    let LabeledSplit { train, test } = split;
    let size = |images: &LabeledImages| {
        format!("{} x {} x {}", images.channels(), images.height(), images.width())
    };
    if size(train) != size(test) {
        return Err(layout(
            path,
            "test_images",
            size(train),
            size(test),
            "give both parts one image size",
        ));
    }
    if train.class_names() != test.class_names() {
        let names = |images: &LabeledImages| format!("classes {}", images.class_names().join(", "));
        return Err(layout(
            path,
            "test_labels",
            names(train),
            names(test),
            "give both parts the same classes",
        ));
    }
    let mut views = Vec::with_capacity(4);
    for (part, images) in [("train", train), ("test", test)] {
        let shape = vec![images.len(), images.channels(), images.height(), images.width()];
        for (what, shape, bytes) in
            [("images", shape, images.pixels()), ("labels", vec![images.len()], images.labels())]
        {
            let view = TensorView::new(Dtype::U8, shape, bytes)
                .map_err(FileError::refused(path, "arrange the tensors"))?;
            views.push((format!("{part}_{what}"), view));
        }
    }
    Ok(archive::write_noted(path, CLASS_NAMES, &train.class_names().join("\n"), views)?)
}

/// The training or test part as stored in the file.
struct Part<'a> {
    name: &'static str,
    /// Channels, height, width.
    shape: [usize; 3],
    images: &'a [u8],
    labels: &'a [u8],
}

impl<'a> Part<'a> {
    fn read(path: &Path, file: &'a Archive, name: &'static str) -> Result<Self> {
        let bytes = |name: &str| {
            let tensor = file.tensor(name)?;
            let found = format!("{:?}", tensor.dtype());
            if tensor.dtype() == Dtype::U8 {
                Ok(tensor)
            } else {
                Err(file.mismatch(name, "data type U8", found))
            }
        };
        let (images, labels) =
            (bytes(&format!("{name}_images"))?, bytes(&format!("{name}_labels"))?);
        let (count, shape) = match *images.shape() {
            [count, channels @ (1 | 3), height, width] => (count, [channels, height, width]),
            _ => {
                let expected = "shape [images, channels (1 or 3), height, width]".into();
                let found = format!("{:?}", images.shape());
                return Err(layout(
                    path,
                    &format!("{name}_images"),
                    expected,
                    found,
                    "put the channels first",
                ));
            }
        };
        if labels.shape() != [count] {
            let found = format!("{:?}", labels.shape());
            let expected = format!("shape [{count}], one label per image of {name}_images");
            return Err(layout(
                path,
                &format!("{name}_labels"),
                expected,
                found,
                "write one label per image",
            ));
        }
        if count == 0 || shape.contains(&0) {
            let found = format!("{:?}", images.shape());
            return Err(layout(
                path,
                &format!("{name}_images"),
                "at least one image and one pixel".into(),
                found,
                "add images",
            ));
        }
        Ok(Self { name, shape, images: images.data(), labels: labels.data() })
    }

    fn describe(&self) -> String {
        let [channels, height, width] = self.shape;
        format!("images of {channels} x {height} x {width}")
    }

    fn finish(&self, path: &Path, class_names: &[String]) -> Result<LabeledImages> {
        let [channels, height, width] = self.shape;
        let images = LabeledImages::new(
            channels,
            height,
            width,
            self.images.to_vec(),
            self.labels.to_vec(),
            class_names.to_vec(),
        );
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

fn layout(
    path: &Path,
    dataset: &str,
    expected: String,
    found: String,
    advice: &'static str,
) -> Error {
    FileError::mismatch(path, dataset, expected, found, advice).into()
}

#[cfg(test)]
mod tests {
    use crate::read_labeled;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A tensor with a header and bytes.
    struct Tensor(&'static str, &'static str, Vec<usize>, Vec<u8>);

    fn valid() -> Vec<Tensor> {
        vec![
            Tensor("train_images", "U8", vec![3, 1, 2, 2], (0..12).collect()),
            Tensor("train_labels", "U8", vec![3], vec![0, 2, 1]),
            Tensor("test_images", "U8", vec![2, 1, 2, 2], (20..28).collect()),
            Tensor("test_labels", "U8", vec![2], vec![1, 1]),
        ]
    }

    /// Written by hand, so that a header can be wrong.
    fn write(folder: &Path, tensors: &[Tensor], change: impl Fn(String) -> String) -> PathBuf {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for Tensor(name, dtype, shape, bytes) in tensors {
            let from = data.len();
            data.extend_from_slice(bytes);
            entries.push(format!(
                r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{}]}}"#,
                data.len()
            ));
        }
        let header = change(format!("{{{}}}", entries.join(",")));
        let path = folder.join("set.safetensors");
        fs::write(
            &path,
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat(),
        )
        .unwrap();
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
        let named = |header: String| {
            header.replacen('{', r#"{"__metadata__":{"class_names":"cat\ndog\nfox"},"#, 1)
        };
        let split = read_labeled(&write(folder.path(), &valid(), named)).unwrap();
        assert_eq!(split.test.class_names(), ["cat", "dog", "fox"]);
        let too_few = |header: String| {
            header.replacen('{', r#"{"__metadata__":{"class_names":"cat\ndog"},"#, 1)
        };
        refused(
            &write(folder.path(), &valid(), too_few),
            &["train_labels, record 1", "0 to 1", "found 2"],
        );
    }

    #[test]
    fn a_label_that_training_never_has() {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = valid();
        tensors[3].3 = vec![1, 9];
        refused(
            &write(folder.path(), &tensors, same),
            &["test_labels, record 1", "0 to 2", "found 9"],
        );
    }

    #[test]
    fn tensors_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = valid();
        tensors.remove(3);
        refused(
            &write(folder.path(), &tensors, same),
            &["test_labels", "only test_images, train_images, train_labels"],
        );
        let mut tensors = valid();
        (tensors[0].1, tensors[0].2) = ("F32", vec![3, 1, 1, 1]);
        refused(&write(folder.path(), &tensors, same), &["train_images", "U8", "F32"]);
        let mut tensors = valid();
        tensors[0].2 = vec![3, 2, 2, 1];
        refused(
            &write(folder.path(), &tensors, same),
            &["train_images", "channels", "[3, 2, 2, 1]"],
        );
        let mut tensors = valid();
        tensors[1].2 = vec![3, 1];
        refused(&write(folder.path(), &tensors, same), &["train_labels", "[3]", "[3, 1]"]);
        let mut tensors = valid();
        tensors[2].2 = vec![2, 1, 1, 4];
        refused(&write(folder.path(), &tensors, same), &["test_images", "1 x 2 x 2", "1 x 1 x 4"]);
        let mut tensors = valid();
        (tensors[2].2, tensors[2].3, tensors[3].2, tensors[3].3) =
            (vec![0, 1, 2, 2], vec![], vec![0], vec![]);
        refused(&write(folder.path(), &tensors, same), &["test_images", "at least one image"]);
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
