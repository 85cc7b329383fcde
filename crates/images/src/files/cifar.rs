//! CIFAR-10 and CIFAR-100 (Krizhevsky 2009, <https://www.cs.toronto.edu/~kriz/cifar.html>), in the
//! binary version and in the Python version, which torchvision downloads.
//!
//! A binary record is one label byte (CIFAR-100: a coarse, then a fine one), then 1024 bytes each
//! of red, green and blue, row-major 32 x 32. The file size determines the number of records. A
//! file of the Python version is a pickled dictionary with the same bytes as rows of
//! `data`, and `labels` (CIFAR-100: `fine_labels`).

use super::{pickle, read};
use crate::{Error, LabeledImages, LabeledSplit, Result};
use brainprior_artifact::FileError;
use brainprior_artifact::pickle::{Fault, Problem};
use brainprior_artifact::unpacked::Bounded;
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

const CHANNELS: usize = 3;
const SIDE: usize = 32;
const PIXELS: usize = CHANNELS * SIDE * SIDE;

/// Distinguishes the sets and their versions.
struct Layout {
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    names: &'static str,
    classes: usize,
    records: Records,
}

/// How a file stores images and labels.
#[derive(Clone, Copy)]
enum Records {
    /// Records, one after the other.
    Binary {
        /// Bytes before the pixels; the last of them is the label.
        label_bytes: usize,
    },
    /// A pickled dictionary, with the keys of the labels and of the class names.
    Pickled { labels: &'static str, names: &'static str },
}

const CIFAR_10: Layout = Layout {
    folder: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    classes: 10,
    records: Records::Binary { label_bytes: 1 },
};

const CIFAR_100: Layout = Layout {
    folder: "cifar-100-binary",
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    classes: 100,
    records: Records::Binary { label_bytes: 2 },
};

const CIFAR_10_PYTHON: Layout = Layout {
    folder: "cifar-10-batches-py",
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: "test_batch",
    names: "batches.meta",
    classes: 10,
    records: Records::Pickled { labels: "labels", names: "label_names" },
};

const CIFAR_100_PYTHON: Layout = Layout {
    folder: "cifar-100-python",
    train: &["train"],
    test: "test",
    names: "meta",
    classes: 100,
    records: Records::Pickled { labels: "fine_labels", names: "fine_label_names" },
};

const LAYOUTS: [&Layout; 4] = [&CIFAR_10, &CIFAR_100, &CIFAR_10_PYTHON, &CIFAR_100_PYTHON];

/// Files by name, in a folder or extracted from an archive.
enum Source {
    Folder,
    Archive(BTreeMap<String, Vec<u8>>),
}

pub(super) fn read_folder(path: &Path) -> Result<LabeledSplit> {
    for layout in LAYOUTS {
        for folder in [path.to_owned(), path.join(layout.folder)] {
            if folder.join(layout.train[0]).is_file() || folder.join(layout.test).is_file() {
                return read_set(&folder, &Source::Folder, layout);
            }
        }
    }
    Err(no_set(path))
}

pub(super) fn read_archive(path: &Path) -> Result<LabeledSplit> {
    let unpacking = |source| {
        FileError::refused(path, "unpack")(source).advise("check that the download is complete")
    };
    let mut folders: BTreeMap<PathBuf, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    let bytes = read(path)?;
    // A gzip file that was written in parts has one member for each.
    let unpacked = Bounded::new(MultiGzDecoder::new(&bytes[..]), bytes.len() as u64);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().map_err(unpacking)? {
        let mut entry = entry.map_err(unpacking)?;
        let place = entry.path().map_err(unpacking)?.into_owned();
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.header().entry_type().is_file() && LAYOUTS.iter().any(|layout| layout.has(&name)) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(unpacking)?;
            let folder = place.parent().unwrap_or(Path::new("")).to_owned();
            if folders.entry(folder).or_default().insert(name, content).is_some() {
                let advice = "pack the set again, with each file once";
                return Err(FileError::mismatch(
                    path,
                    place.display().to_string(),
                    "one such file",
                    "two",
                    advice,
                )
                .into());
            }
        }
    }
    let sets: Vec<(PathBuf, &Layout)> = folders
        .iter()
        .flat_map(|(folder, members)| {
            let layouts = LAYOUTS.into_iter().filter(|layout| members.contains_key(layout.test));
            layouts.map(|layout| (folder.clone(), layout))
        })
        .collect();
    match &sets[..] {
        [] => Err(no_set(path)),
        [(folder, layout)] => {
            read_set(path, &Source::Archive(folders.remove(folder).unwrap_or_default()), layout)
        }
        several => {
            let shown: Vec<String> = several
                .iter()
                .map(|(folder, layout)| folder.join(layout.test).display().to_string())
                .collect();
            let advice = "pack the folder of one set";
            Err(FileError::mismatch(path, "files", "one set", shown.join(" and "), advice).into())
        }
    }
}

fn no_set(path: &Path) -> Error {
    let expected = "those of CIFAR-10 or CIFAR-100, binary (data_batch_1.bin ... test_batch.bin; train.bin, test.bin) or for Python \
                    (data_batch_1 ... test_batch; train, test), or the folders train and test with a folder of pictures for each class";
    let advice = "use the published binary or Python version, not the one for MATLAB";
    FileError::mismatch(path, "files", expected, "none of them", advice).into()
}

impl Layout {
    fn has(&self, name: &str) -> bool {
        self.train.contains(&name) || [self.test, self.names].contains(&name)
    }
}

impl Source {
    /// The bytes of `name`, if it exists, and its path for messages.
    fn get(&self, path: &Path, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>> {
        match self {
            // A dangling link exists too, and reading it is an error.
            Self::Folder if path.join(name).symlink_metadata().is_ok() => {
                let file = path.join(name);
                read(&file).map(|bytes| Some((file, bytes)))
            }
            Self::Folder => Ok(None),
            Self::Archive(members) => {
                Ok(members.get(name).map(|bytes| (path.into(), bytes.clone())))
            }
        }
    }
}

fn read_set(path: &Path, source: &Source, layout: &Layout) -> Result<LabeledSplit> {
    let names = class_names(path, source, layout)?;
    Ok(LabeledSplit {
        train: read_part(path, source, layout, layout.train, &names)?,
        test: read_part(path, source, layout, &[layout.test], &names)?,
    })
}

/// Class names from the file that lists them, or numbers if that is missing.
fn class_names(path: &Path, source: &Source, layout: &Layout) -> Result<Vec<String>> {
    let Some((file, bytes)) = source.get(path, layout.names)? else {
        return Ok((0..layout.classes).map(|label| label.to_string()).collect());
    };
    let (count, names): (usize, Vec<String>) = match layout.records {
        Records::Binary { .. } => {
            let text = String::from_utf8_lossy(&bytes);
            let names: Vec<String> = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect();
            (names.len(), names)
        }
        Records::Pickled { names, .. } => {
            let read = pickle::parse(&bytes).and_then(|pickle| {
                let listed = pickle.root().entry(names)?.texts()?;
                // A pickle can list one long string many times; it is copied at most once per
                // class.
                Ok((
                    listed.len(),
                    listed.iter().take(layout.classes).map(|name| (*name).to_owned()).collect(),
                ))
            });
            read.map_err(|problem| of_pickle(&file, layout.names, problem))?
        }
    };
    if count != layout.classes {
        let expected = format!("{} class names", layout.classes);
        let advice = "use the file from the original archive, or remove it to number the classes";
        return Err(
            FileError::mismatch(&file, layout.names, expected, count.to_string(), advice).into()
        );
    }
    Ok(names)
}

fn read_part(
    path: &Path,
    source: &Source,
    layout: &Layout,
    files: &[&str],
    names: &[String],
) -> Result<LabeledImages> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for name in files {
        let Some((file, bytes)) = source.get(path, name)? else {
            let advice = "use the one from the original archive";
            return Err(
                FileError::mismatch(path, *name, "a file of this name", "none", advice).into()
            );
        };
        let found = match layout.records {
            Records::Binary { label_bytes } => {
                binary(&file, name, &bytes, label_bytes, &mut pixels)?
            }
            Records::Pickled { labels, .. } => pickled(&bytes, labels, &mut pixels)
                .map_err(|problem| of_pickle(&file, name, problem))?,
        };
        for (record, label) in found.into_iter().enumerate() {
            match u8::try_from(label) {
                Ok(label) if usize::from(label) < layout.classes => labels.push(label),
                _ => {
                    let expected = format!("a label from 0 to {}", layout.classes - 1);
                    let advice = "the file is damaged or of another kind: fetch it again";
                    let record = format!("{name}, record {record}");
                    return Err(FileError::mismatch(
                        &file,
                        record,
                        expected,
                        label.to_string(),
                        advice,
                    )
                    .into());
                }
            }
        }
    }
    LabeledImages::new(CHANNELS, SIDE, SIDE, pixels, labels, names.to_vec())
}

/// Appends the pixels of a file, and returns its labels.
fn binary(
    file: &Path,
    name: &str,
    bytes: &[u8],
    label_bytes: usize,
    pixels: &mut Vec<u8>,
) -> Result<Vec<i64>> {
    let record_bytes = label_bytes + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record_bytes) {
        let expected = format!("a multiple of the {record_bytes} bytes of a record");
        let (records, rest) = (bytes.len() / record_bytes, bytes.len() % record_bytes);
        let found = format!("{} bytes ({records} records and {rest} bytes)", bytes.len());
        let advice = "the file is truncated or of another kind: fetch it again";
        return Err(FileError::mismatch(file, name, expected, found, advice).into());
    }
    let mut labels = Vec::with_capacity(bytes.len() / record_bytes);
    for record in bytes.chunks_exact(record_bytes) {
        let (head, image) = record.split_at(label_bytes);
        labels.push(head[label_bytes - 1].into());
        pixels.extend_from_slice(image);
    }
    Ok(labels)
}

/// The same for a pickled file.
fn pickled(
    bytes: &[u8],
    key: &str,
    pixels: &mut Vec<u8>,
) -> std::result::Result<Vec<i64>, Problem> {
    let pickle = pickle::parse(bytes)?;
    let (shape, data) = pickle::bytes_array(pickle.root().entry("data")?)?;
    let labels = pickle.root().entry(key)?.integers()?;
    if labels.is_empty() || shape != [labels.len(), PIXELS] {
        let (expected, found) = (
            format!("{} x {PIXELS} pixels, for as many {key}", labels.len()),
            format!("{shape:?}"),
        );
        return Err(Problem { expected, found, fault: Fault::Damaged });
    }
    pixels.extend(data);
    Ok(labels)
}

fn of_pickle(file: &Path, name: &str, problem: Problem) -> Error {
    let advice = match problem.fault {
        Fault::Cut => "the file is truncated: fetch it again",
        Fault::Damaged => "the file is damaged or of another kind: fetch it again",
        Fault::Program => {
            "a pickle is a program: download the published set, or save its arrays in another format"
        }
    };
    FileError::mismatch(file, name, problem.expected, problem.found, advice).into()
}

#[cfg(test)]
mod tests {
    use crate::read_labeled;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::fs;
    use std::path::Path;

    fn record(label: &[u8], value: u8) -> Vec<u8> {
        let mut record = label.to_vec();
        for channel in 0..3 {
            record.extend(vec![value + channel; 1024]);
        }
        record
    }

    /// CIFAR-10 with two records per file; file k has the labels 2k and 2k + 1.
    fn write_cifar_10(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for batch in 0..6u8 {
            let name = if batch == 5 {
                "test_batch.bin".into()
            } else {
                format!("data_batch_{}.bin", batch + 1)
            };
            let label = batch % 5 * 2;
            fs::write(
                folder.join(name),
                [record(&[label], batch), record(&[label + 1], 100 + batch)].concat(),
            )
            .unwrap();
        }
        fs::write(
            folder.join("batches.meta.txt"),
            "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n",
        )
        .unwrap();
    }

    fn pack(folder: &Path, archive: &Path) {
        let mut tar = tar::Builder::new(GzEncoder::new(
            fs::File::create(archive).unwrap(),
            Compression::fast(),
        ));
        tar.append_dir_all(folder.file_name().unwrap(), folder).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
    }

    #[test]
    fn cifar_10_as_folder_parent_and_archive() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cifar-10-batches-bin");
        write_cifar_10(&folder);
        let split = read_labeled(&folder).unwrap();
        assert_eq!(split.train.labels(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(split.test.labels(), [0, 1]);
        assert_eq!(split.train.class_names()[9], "truck");
        assert_eq!(
            (split.train.channels(), split.train.height(), split.train.width()),
            (3, 32, 32)
        );
        assert_eq!(
            (split.train.image(3)[0], split.train.image(3)[1024], split.train.image(3)[3071]),
            (101, 102, 103)
        );
        assert_eq!(read_labeled(root.path()).unwrap(), split);
        let archive = root.path().join("cifar-10-binary.tar.gz");
        pack(&folder, &archive);
        assert_eq!(read_labeled(&archive).unwrap(), split);
    }

    #[test]
    fn cifar_100_takes_the_fine_label() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cifar-100-binary");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("train.bin"), [record(&[19, 99], 1), record(&[3, 7], 2)].concat())
            .unwrap();
        fs::write(folder.join("test.bin"), record(&[0, 42], 3)).unwrap();
        let split = read_labeled(&folder).unwrap();
        assert_eq!((split.train.labels(), split.test.labels()), (&[99u8, 7][..], &[42u8][..]));
        assert_eq!((split.train.classes(), split.train.class_names()[42].as_str()), (100, "42"));
        let archive = root.path().join("cifar-100-binary.tar.gz");
        pack(&folder, &archive);
        assert_eq!(read_labeled(&archive).unwrap(), split);
        fs::write(folder.join("test.bin"), record(&[0, 100], 3)).unwrap();
        let error = read_labeled(&folder).unwrap_err().to_string();
        assert!(
            error.contains("test.bin, record 0")
                && error.contains("0 to 99")
                && error.contains("found 100"),
            "{error}"
        );
    }

    #[test]
    fn a_cut_file_and_a_wrong_label_are_named() {
        let root = tempfile::tempdir().unwrap();
        write_cifar_10(root.path());
        let batch = root.path().join("data_batch_3.bin");
        let whole = fs::read(&batch).unwrap();
        fs::write(&batch, &whole[..whole.len() - 10]).unwrap();
        let error = read_labeled(root.path()).unwrap_err().to_string();
        assert!(
            error.contains("data_batch_3.bin")
                && error.contains("multiple of the 3073")
                && error.contains("6136 bytes"),
            "{error}"
        );
        fs::write(&batch, record(&[10], 0)).unwrap();
        let error = read_labeled(root.path()).unwrap_err().to_string();
        assert!(
            error.contains("data_batch_3.bin, record 0")
                && error.contains("0 to 9")
                && error.contains("found 10"),
            "{error}"
        );
        fs::remove_file(&batch).unwrap();
        assert!(read_labeled(root.path()).unwrap_err().to_string().contains("data_batch_3.bin"));
        fs::write(root.path().join("batches.meta.txt"), "cat\n").unwrap();
        assert!(read_labeled(root.path()).unwrap_err().to_string().contains("10 class names"));
    }

    #[test]
    fn what_is_no_cifar_says_so() {
        let root = tempfile::tempdir().unwrap();
        assert!(
            read_labeled(root.path()).unwrap_err().to_string().contains("not the one for MATLAB")
        );
        fs::write(root.path().join("data_batch_1"), "text").unwrap();
        let error = read_labeled(root.path()).unwrap_err().to_string();
        assert!(error.contains("data_batch_1") && error.contains("a Python pickle"), "{error}");
        fs::remove_file(root.path().join("data_batch_1")).unwrap();
        let folder = root.path().join("cifar-10-batches-bin");
        write_cifar_10(&folder);
        let archive = root.path().join("set.tar.gz");
        pack(&folder, &archive);
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
        let error = read_labeled(&archive).unwrap_err().to_string();
        assert!(error.contains("set.tar.gz") && error.contains("unpack"), "{error}");
        fs::write(&archive, "no archive").unwrap();
        assert!(read_labeled(&archive).is_err());
    }
}
