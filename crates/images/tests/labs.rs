//! Labeled sets as other programs write them (`tests/data`, with the script).

use brainprior_images::{CorruptedFamily, read_corrupted, read_labeled};
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

#[track_caller]
fn refused(name: &str, parts: &[&str]) {
    let error = read_labeled(&file(name)).unwrap_err().to_string();
    for part in parts.iter().chain(&[name]) {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn class_names_are_a_name_a_line_a_json_array_or_between_commas() {
    for name in ["lines", "blank-line", "json", "commas"] {
        let split = read_labeled(&file(&format!("names-{name}.safetensors"))).unwrap();
        assert_eq!(split.train.classes(), 10, "{name}");
        assert_eq!(
            (split.test.class_names()[0].as_str(), split.test.class_names()[9].as_str()),
            ("airplane", "truck"),
            "{name}"
        );
    }
    refused(
        "names-json-object.safetensors",
        &["class_names", "a JSON array of strings", "one per line"],
    );
}

#[test]
fn archives_of_several_gzip_members_are_read_whole() {
    let split = read_labeled(&file("cifar-members.tar.gz")).unwrap();
    assert_eq!(split, read_labeled(&file("cifar.tar.gz")).unwrap());
    assert_eq!((split.train.len(), split.test.image(1)[0]), (10, 101));
}

#[test]
fn an_archive_holds_one_set_and_each_file_once() {
    refused(
        "cifar-backup.tar.gz",
        &["expected one set", "backup/cifar-10-batches-bin/test_batch.bin", "pack the folder"],
    );
    refused(
        "cifar-twice.tar.gz",
        &["cifar-10-batches-bin/data_batch_1.bin", "expected one such file, found two"],
    );
}

#[test]
fn cifar_for_python_comes_as_python_2_and_3_pickle_it() {
    let split = read_labeled(&file("python-10.tar.gz")).unwrap();
    assert_eq!(split, read_labeled(&file("python3-10.tar.gz")).unwrap());
    assert_eq!(split.train.labels(), [1, 5, 2, 6, 3, 7, 4, 8, 5, 9]);
    assert_eq!(
        (split.test.labels(), split.test.class_names()[9].as_str()),
        (&[0u8, 9][..], "truck")
    );
    // The script's rows: (7 k + part) for the k-th value, over both images of a file.
    let value = |image: usize, at: usize, part: usize| ((image * 3072 + at) * 7 + part) as u8;
    let expected: Vec<u8> = (0..3072).map(|at| value(1, at, 3)).collect();
    assert_eq!(split.train.image(5), expected, "red, green, blue, each row after row");

    let split = read_labeled(&file("python-100.tar.gz")).unwrap();
    assert_eq!((split.train.labels(), split.test.labels()), (&[99u8, 1][..], &[99u8, 2][..]));
    assert_eq!((split.train.classes(), split.train.class_names()[42].as_str()), (100, "leopard"));

    let folder = tempfile::tempdir().unwrap();
    let packed = std::fs::File::open(file("python-100.tar.gz")).unwrap();
    tar::Archive::new(flate2::read::GzDecoder::new(packed)).unpack(folder.path()).unwrap();
    assert_eq!(read_labeled(folder.path()).unwrap(), split, "the folder that holds it");
    let inside = folder.path().join("cifar-100-python");
    assert_eq!(read_labeled(&inside).unwrap(), split);
    let whole = std::fs::read(inside.join("test")).unwrap();
    std::fs::write(inside.join("test"), &whole[..whole.len() - 400]).unwrap();
    let error = read_labeled(&inside).unwrap_err().to_string();
    assert!(
        error.contains("cifar-100-python/test: test: expected ") && error.contains("truncated"),
        "{error}"
    );
}

#[test]
fn a_pickle_that_names_a_function_is_refused_and_calls_nothing() {
    refused("program.tar.gz", &["data_batch_3", "a call of posix.getcwd", "a pickle is a program"]);
}

#[test]
fn folders_of_pictures_have_a_class_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(std::fs::File::open(file("pictures.tar")).unwrap())
        .unpack(folder.path())
        .unwrap();
    let split = read_labeled(folder.path()).unwrap();
    assert_eq!(
        (split.train.class_names(), split.train.labels()),
        (&["cat".to_owned(), "dog".to_owned()][..], &[0u8, 0, 1][..])
    );
    assert_eq!(
        (split.test.labels(), split.test.channels(), split.test.height()),
        (&[0u8, 1][..], 3, 8)
    );
    // In the script, the second picture is in color, the first is grayscale, and the third has a
    // grayscale palette.
    assert_eq!(split.train.image(1)[..2], [10, 13]);
    assert_eq!((split.train.image(1)[64], split.train.image(1)[128]), (11, 245));
    assert_eq!(
        (split.train.image(0)[0], split.train.image(0)[128], split.train.image(2)[65]),
        (0, 0, 23)
    );

    let refused = |parts: &[&str]| {
        let error = read_labeled(folder.path()).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    };
    let picture = folder.path().join("train/dog/1.png");
    let whole = std::fs::read(&picture).unwrap();
    std::fs::write(&picture, &whole[..whole.len() - 30]).unwrap();
    refused(&["train/dog/1.png", "a complete PNG file", "truncated"]);
    std::fs::remove_file(&picture).unwrap();
    refused(&["train/dog", "PNG or JPEG files", "found none"]);
    std::fs::remove_dir(folder.path().join("train/dog")).unwrap();
    refused(&["test/dog", "classes of training: cat"]);
    std::fs::remove_dir_all(folder.path().join("test")).unwrap();
    refused(&["test: could not list"]);
}

fn unpacked(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(file(name)).unwrap()))
        .unpack(folder.path())
        .unwrap();
    folder
}

#[test]
fn published_corruptions_are_those_of_the_test_images_in_use() {
    let (folder, test) =
        (unpacked("corrupted.tar.gz"), read_labeled(&file("python-10.tar.gz")).unwrap().test);
    let path = folder.path().join("CIFAR-10-C");
    let families = read_corrupted(&path, &test, 1..2).unwrap();
    let names: Vec<(&str, bool)> =
        families.iter().map(|family| (family.name.as_str(), family.is_in_mean())).collect();
    assert_eq!(names, [("fog", true), ("gaussian_noise", true), ("saturate", false)]);
    // The pixels of the script.
    let pixel = |family: usize, severity: usize, [y, x, c]: [usize; 3]| {
        (13 * family + 50 * severity + 7 + y + 2 * x + 40 * c) as u8
    };
    for (number, CorruptedFamily { severities, .. }) in families.iter().enumerate() {
        for (severity, images) in severities.iter().enumerate() {
            assert_eq!((images.len(), images.labels(), images.channels()), (1, &[9u8][..], 3));
            let all =
                (0..3).flat_map(|c| (0..32).flat_map(move |y| (0..32).map(move |x| [y, x, c])));
            let expected: Vec<u8> = all.map(|place| pixel(number, severity, place)).collect();
            assert_eq!(images.image(0), expected, "planes of red, green and blue");
        }
    }
    // The corrupted images of a grayscale set use the same luma.
    let gray = read_corrupted(&path, &test.to_grayscale(), 1..2).unwrap();
    assert_eq!(gray[1].severities[4], families[1].severities[4].to_grayscale());
}

#[test]
fn corruptions_of_another_set_are_refused() {
    let (folder, test) =
        (unpacked("corrupted.tar.gz"), read_labeled(&file("python-10.tar.gz")).unwrap().test);
    let path = folder.path().join("CIFAR-10-C");
    let refused = |test: &brainprior_images::LabeledImages, parts: &[&str]| {
        let error = read_corrupted(&path, test, 0..1).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    };
    refused(
        &test.subset(&[1, 0]),
        &[
            "labels.npy: label 0: expected 9, the label of the set's test image 0, found 0",
            "in the same order",
        ],
    );
    refused(&test.subset(&[0]), &["labels.npy", "expected 5 labels, five times", "shape [10]"]);
    let whole = std::fs::read(path.join("fog.npy")).unwrap();
    // A file that ends within the last severity.
    std::fs::write(path.join("fog.npy"), &whole[..whole.len() - 3072 - 1]).unwrap();
    refused(&test, &["fog.npy: could not read", "truncated"]);
    std::fs::write(path.join("fog.npy"), &whole).unwrap();
    std::fs::rename(path.join("fog.npy"), path.join("mist.npy")).unwrap();
    refused(&test, &["mist.npy: expected families such as gaussian_noise"]);
    std::fs::remove_file(path.join("labels.npy")).unwrap();
    refused(&test, &["labels.npy: could not read"]);
}
