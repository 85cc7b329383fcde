//! Labeled sets on disk: CIFAR's own formats, folders of pictures, and safetensors.

mod cifar;
mod corrupted;
mod folder;
mod pickle;
mod tensors;

pub use corrupted::{CorruptedFamily, is_in_mean, read_corrupted};

use crate::{LabeledSplit, Result};
use brainprior_artifact::FileError;
use std::fs;
use std::path::Path;

/// Reads a labeled set of any of these kinds:
///
/// - a folder with the binary version of CIFAR-10 (`data_batch_1.bin` to `data_batch_5.bin`,
///   `test_batch.bin`) or of CIFAR-100 (`train.bin`, `test.bin`; the fine labels are used), or one
///   that holds it as `cifar-10-batches-bin` or `cifar-100-binary`;
/// - the Python version of these (`cifar-10-batches-py`, `cifar-100-python`), as torchvision
///   downloads it; pickles are read as data, and no function they name is called;
/// - the official archive of any of these, `.tar.gz`;
/// - a folder with `train/CLASS/` and `test/CLASS/` that hold PNG or JPEG pictures of one size;
/// - `.safetensors` with U8 tensors `train_images`, `test_images`, `[images, channels, height,
///   width]`, and `train_labels`, `test_labels`, `[images]`. Without `class_names` in the metadata
///   (one name per line, a JSON array, or names separated by commas) the classes are numbered up to
///   the largest training label.
///
/// # Errors
/// Returns an error if the file cannot be read, is of an unknown kind or deviates from its layout:
/// a truncated record, a label out of range, a header that contradicts the file, a missing tensor,
/// or the wrong data type or shape.
pub fn read_labeled(path: &Path) -> Result<LabeledSplit> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if path.is_dir() && folder::is_one(path) {
        folder::read(path)
    } else if path.is_dir() {
        cifar::read_folder(path)
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        cifar::read_archive(path)
    } else if name.ends_with(".safetensors") {
        tensors::read_set(path)
    } else {
        // A path that does not exist is a typo rather than an unknown kind.
        fs::metadata(path).map_err(FileError::refused(path, "open"))?;
        let (found, advice) = if name.ends_with(".xz") {
            (
                "a file compressed with xz".to_owned(),
                "unpack it first: xz --decompress --keep FILE.xz",
            )
        } else {
            (format!("{name:?}"), "give a file or folder of one of these kinds")
        };
        let expected = "a folder or .tar.gz of CIFAR, a folder of pictures, or .safetensors";
        Err(FileError::mismatch(path, "kind of file", expected, found, advice).into())
    }
}

/// Writes a labeled set as safetensors, for [`read_labeled`]. The layout is
/// `data-specs/image-set.toml`.
///
/// The file is replaced atomically: if the write fails, an existing file is kept.
///
/// # Errors
/// Returns an error if the parts differ in image size or classes, or the file cannot be written.
pub fn write_labeled(path: &Path, split: &LabeledSplit) -> Result<()> {
    tensors::write_set(path, split)
}

/// Reads a whole file.
fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(fs::read(path).map_err(FileError::refused(path, "read"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabeledImages;

    fn split() -> LabeledSplit {
        let names = vec!["cat".to_owned(), "dog".to_owned()];
        LabeledSplit {
            train: LabeledImages::new(1, 2, 2, (0..12).collect(), vec![0, 1, 1], names.clone())
                .unwrap(),
            test: LabeledImages::new(1, 2, 2, (100..104).collect(), vec![1], names).unwrap(),
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let packed = folder.path().join("set.safetensors.xz");
        fs::write(&packed, "x").unwrap();
        let error = read_labeled(&packed).unwrap_err().to_string();
        assert!(
            error.contains("set.safetensors.xz") && error.contains("xz --decompress"),
            "{error}"
        );
        let other = folder.path().join("set.png");
        assert!(read_labeled(&other).unwrap_err().to_string().contains("open"));
        fs::write(&other, "x").unwrap();
        assert!(read_labeled(&other).unwrap_err().to_string().contains(".safetensors"));
    }

    #[test]
    fn a_set_comes_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.safetensors");
        write_labeled(&path, &split()).unwrap();
        assert_eq!(read_labeled(&path).unwrap(), split());
        let first = fs::read(&path).unwrap();
        write_labeled(&path, &split()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first, "equal sets give equal bytes");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn parts_must_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.safetensors");
        let names = vec!["cat".to_owned(), "dog".to_owned()];
        let test = LabeledImages::new(1, 1, 4, (100..104).collect(), vec![1], names).unwrap();
        let error = write_labeled(&path, &LabeledSplit { train: split().train, test })
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("test_images")
                && error.contains("1 x 2 x 2")
                && error.contains("1 x 1 x 4"),
            "{error}"
        );
        assert!(!path.exists());
    }
}
