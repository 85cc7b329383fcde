//! Labelled sets as other programs write them (`tests/data`, with the script).

use brainprior_images::read_labeled;
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
        assert_eq!((split.test.class_names()[0].as_str(), split.test.class_names()[9].as_str()), ("airplane", "truck"), "{name}");
    }
    refused("names-json-object.safetensors", &["class_names", "a JSON array of texts", "a name a line"]);
}

#[test]
fn archives_of_several_gzip_members_are_read_whole() {
    let split = read_labeled(&file("cifar-members.tar.gz")).unwrap();
    assert_eq!(split, read_labeled(&file("cifar.tar.gz")).unwrap());
    assert_eq!((split.train.len(), split.test.image(1)[0]), (10, 101));
}

#[test]
fn an_archive_holds_one_set_and_each_file_once() {
    refused("cifar-backup.tar.gz", &["expected one set", "backup/cifar-10-batches-bin/test_batch.bin", "pack the folder"]);
    refused("cifar-twice.tar.gz", &["cifar-10-batches-bin/data_batch_1.bin", "expected one such file, found two"]);
}
