//! Every kind of bad file is refused with a message that states the place, what was expected and
//! what was found.
#![cfg(feature = "hdf5")]

mod fixture;

use brainprior_recording::{Error, Responses, Scan, read_scan, write_sensorium, write_static_hdf5};
use hdf5::H5Type;
use ndarray::{ArrayBase, Data, Dimension};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A valid scan file in its own folder.
fn written() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.h5");
    write_static_hdf5(&path, &fixture::scan(true)).unwrap();
    (folder, path)
}

#[track_caller]
fn check(path: &Path, parts: &[&str]) {
    let error = read_scan(path).unwrap_err().to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    for part in parts.iter().chain([&name]) {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

/// Checks the message after `change` was applied to a valid file.
#[track_caller]
fn check_changed(change: impl FnOnce(&hdf5::File), parts: &[&str]) {
    let (_folder, path) = written();
    let file = hdf5::File::open_rw(&path).unwrap();
    change(&file);
    file.close().unwrap();
    check(&path, parts);
}

/// Replaces a dataset.
fn replace<T: H5Type, S: Data<Elem = T>, D: Dimension>(
    file: &hdf5::File,
    name: &str,
    values: &ArrayBase<S, D>,
) {
    file.unlink(name).unwrap();
    file.new_dataset_builder().with_data(values.view()).create(name).unwrap();
}

fn responses() -> ndarray::Array2<f32> {
    fixture::parts(true).responses
}

#[test]
fn no_file() {
    let error = read_scan(Path::new("nowhere/scan.h5")).unwrap_err();
    assert!(
        matches!(error, Error::File(_)) && error.to_string().contains("nowhere/scan.h5"),
        "{error}"
    );
}

#[test]
fn not_hdf5() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.h5");
    fs::write(&path, "a scan, really").unwrap();
    check(&path, &["expected an HDF5 file", "a scan, ", "89HDF"]);
    fs::write(&path, "").unwrap();
    check(&path, &["expected an HDF5 file"]);
}

#[test]
fn truncated_hdf5() {
    let (_folder, path) = written();
    let bytes = fs::read(&path).unwrap();
    for length in [9, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        check(&path, &["open", "truncated"]);
    }
}

/// Whichever byte is damaged, the result is a scan or an error.
#[test]
fn damaged_hdf5_never_panics() {
    let (_folder, path) = written();
    let bytes = fs::read(&path).unwrap();
    for position in (0..bytes.len()).step_by(bytes.len() / 97) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x5a;
        fs::write(&path, damaged).unwrap();
        let _ = read_scan(&path);
    }
}

#[test]
fn missing_dataset() {
    for name in ["images", "responses", "tiers"] {
        check_changed(
            |file| file.unlink(name).unwrap(),
            &[name, "expected a dataset of shape", "found none"],
        );
    }
}

#[test]
fn wrong_rank() {
    check_changed(
        |file| replace(file, "images", &ndarray::Array3::<u8>::zeros((16, 4, 6))),
        &["images", "(*, 1, *, *)", "found shape (16, 4, 6)"],
    );
    check_changed(
        |file| replace(file, "images", &ndarray::Array4::<u8>::zeros((16, 3, 4, 6))),
        &["images", "(16, 3, 4, 6)"],
    );
    check_changed(
        |file| replace(file, "responses", &ndarray::Array1::<f32>::zeros(16)),
        &["responses", "(*, *)", "found shape (16)"],
    );
    check_changed(
        |file| replace(file, "pupil_center", &ndarray::Array2::<f32>::zeros((16, 3))),
        &["pupil_center", "(*, 2)", "(16, 3)"],
    );
}

#[test]
fn wrong_type() {
    check_changed(
        |file| replace(file, "tiers", &ndarray::Array1::<f32>::zeros(16)),
        &["tiers", "expected strings", "float32"],
    );
    let text = ndarray::Array2::from_elem(
        (16, 5),
        hdf5::types::FixedAscii::<4>::from_ascii("none").unwrap(),
    );
    check_changed(
        |file| replace(file, "responses", &text),
        &["responses", "expected numbers", "string"],
    );
}

#[test]
fn mismatched_rows() {
    check_changed(
        |file| replace(file, "responses", &ndarray::Array2::<f32>::zeros((15, 5))),
        &["images", "15 rows", "16 rows"],
    );
    check_changed(
        |file| replace(file, "behavior", &ndarray::Array2::<f32>::zeros((9, 3))),
        &["behavior", "16 rows", "9 rows"],
    );
    check_changed(
        |file| replace(file, "item_info/frame_image_id", &ndarray::Array1::<i64>::zeros(3)),
        &["identifiers", "16 rows", "3 rows"],
    );
    check_changed(
        |file| replace(file, "neurons/unit_ids", &ndarray::Array1::<i64>::zeros(4)),
        &["areas", "expected 4", "found 5"],
    );
}

#[test]
fn responses_that_are_not_finite() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut values = responses();
        values[[7, 3]] = value;
        check_changed(
            |file| replace(file, "responses", &values),
            &["responses", "row 7", "neuron 3", "unit 15", &value.to_string()],
        );
    }
    let mut pupil = fixture::parts(true).pupil_center.unwrap();
    pupil[[4, 1]] = f32::NAN;
    check_changed(
        |file| replace(file, "pupil_center", &pupil),
        &["pupil_center", "row 4", "column 1", "NaN"],
    );
}

#[test]
fn pixels_out_of_range() {
    let mut images = ndarray::Array4::<f32>::from_elem((16, 1, 4, 6), 0.5);
    images[[5, 0, 2, 1]] = 256.0;
    check_changed(|file| replace(file, "images", &images), &["images", "row 5", "pixel 13", "256"]);
    images[[5, 0, 2, 1]] = f32::NAN;
    check_changed(|file| replace(file, "images", &images), &["row 5", "NaN"]);
    check_changed(
        |file| replace(file, "images", &ndarray::Array4::<i8>::from_elem((16, 1, 4, 6), -1)),
        &["row 0", "-1"],
    );
}

#[test]
fn unknown_tier() {
    let mut tiers = vec![hdf5::types::FixedAscii::<10>::from_ascii("train").unwrap(); 16];
    tiers[6] = hdf5::types::FixedAscii::from_ascii("holdout").unwrap();
    check_changed(
        |file| replace(file, "tiers", &ndarray::Array1::from(tiers)),
        &["tiers", "row 6", "final_test", "\"holdout\""],
    );
}

#[test]
fn one_image_in_two_tiers() {
    let mut parts = fixture::parts(true);
    parts.tiers[3] = brainprior_recording::Tier::Train;
    let error = Scan::new(parts).unwrap_err().to_string();
    assert!(error.contains("tier train (row 3) and in tier test (row 7)"), "{error}");
}

#[test]
fn identifiers_against_content() {
    // Rows 0 and 2 show different images.
    let mut ids: Vec<i64> =
        fixture::parts(true).trial_image.iter().map(|image| *image as i64).collect();
    ids[2] = ids[0];
    let values = ndarray::Array1::from(ids);
    check_changed(
        |file| replace(file, "item_info/frame_image_id", &values),
        &["item_info/frame_image_id", "rows 0 and 2", "image 0", "different pixels"],
    );
    // An image with several identifiers is one image.
    let (_folder, path) = written();
    let file = hdf5::File::open_rw(&path).unwrap();
    replace(&file, "item_info/frame_image_id", &ndarray::Array1::from_iter(0..16i64));
    file.close().unwrap();
    let scan = read_scan(&path).unwrap();
    assert_eq!((scan.stimuli().len(), scan.repeats().len()), (10, 2));
}

#[test]
fn parts_that_make_no_scan() {
    let check = |change: &dyn Fn(&mut brainprior_recording::ScanParts), expected: &str| {
        let mut parts = fixture::parts(true);
        change(&mut parts);
        let error = Scan::new(parts).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|parts| parts.trial_image[4] = 10, "trial 4 names image 10, expected 0 to 9");
    check(
        &|parts| parts.responses = ndarray::Array2::zeros((16, 0)),
        "at least one trial and one neuron",
    );
    check(
        &|parts| parts.neurons = brainprior_recording::Neurons::unnamed(4),
        "neurons: expected 5",
    );
    check(&|parts| parts.image_labels = Some(vec![1; 10]), "images 0 and 1 have the same label 1");
    check(&|parts| parts.image_labels = Some(vec![1]), "labels of the images");
    check(&|parts| parts.trial_idx = Some(vec![]), "trial_idx: expected 16 rows");
    check(
        &|parts| parts.pupil_center = Some(ndarray::Array2::zeros((16, 3))),
        "columns of pupil_center: expected 2",
    );
}

/// Checks the message after `change` was applied to a valid tree.
#[track_caller]
fn check_tree(change: impl FnOnce(&Path), parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tree");
    write_sensorium(&path, &fixture::scan(true)).unwrap();
    change(&path);
    check(&path, parts);
}

#[test]
fn broken_trees() {
    check_tree(
        |tree| fs::remove_file(tree.join("meta/trials/tiers.npy")).unwrap(),
        &["meta/trials/tiers.npy", "found none"],
    );
    check_tree(
        |tree| fs::remove_file(tree.join("data/responses/5.npy")).unwrap(),
        &["data/responses", "expected 16", "found 15"],
    );
    check_tree(
        |tree| fs::rename(tree.join("data/images/5.npy"), tree.join("data/images/16.npy")).unwrap(),
        &["data/images/5.npy", "found none"],
    );
    check_tree(
        |tree| {
            assert!(
                fs::copy(tree.join("data/behavior/0.npy"), tree.join("data/responses/5.npy"))
                    .is_ok()
            )
        },
        &["data/responses/5.npy", "[5], like row 0", "[3]"],
    );
    check_tree(
        |tree| {
            assert!(
                fs::copy(tree.join("data/responses/0.npy"), tree.join("data/images/0.npy")).is_ok()
            )
        },
        &["data/images/0.npy", "[1, height, width]", "[5]"],
    );
    check_tree(
        |tree| {
            let path = tree.join("data/pupil_center/3.npy");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 3]).unwrap();
        },
        &["data/pupil_center/3.npy", "8 bytes", "5 bytes", "truncated"],
    );
    check_tree(
        |tree| fs::remove_dir_all(tree.join("data")).unwrap(),
        &["data/images", "expected 16", "found 0"],
    );
}

#[test]
fn broken_archives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tree.zip");
    write_sensorium(&path, &fixture::scan(true)).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    check(&path, &["zip archive", "truncated"]);

    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    archive.start_file("notes.txt", zip::write::SimpleFileOptions::default()).unwrap();
    archive.finish().unwrap();
    check(&path, &["meta/trials/tiers.npy", "found none", "zip the folder of one scan"]);
}

#[test]
fn responses_of_another_kind() {
    let (_folder, path) = written();
    let error = Responses::read(&path).unwrap_err().to_string();
    assert!(error.contains("small.h5") && error.contains("format"), "{error}");

    fixture::scan(true).repeat_means().write(&path).unwrap();
    let file = hdf5::File::open_rw(&path).unwrap();
    let id = file.dataset("image_id").unwrap().read_raw::<u64>().unwrap()[0];
    replace(&file, "image_id", &ndarray::Array1::from(vec![id, id]));
    file.close().unwrap();
    let error = Responses::read(&path).unwrap_err().to_string();
    assert!(error.contains("small.h5") && error.contains("rows 0 and 1"), "{error}");
}
