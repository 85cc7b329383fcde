//! A session in the folders of experanto (`tests/data/experanto`, with the script and NumPy's
//! results by the format's definition).
#![cfg(feature = "hdf5")]

use brainprior_recording::import::{Imported, experanto};
use brainprior_recording::{Origin, Tier};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

const NAME: &str = "dynamic17-3-5-Video-0_30hz";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/experanto").join(name)
}

/// The session, unpacked.
fn session() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(fs::File::open(data("session.zip")).unwrap())
        .unwrap()
        .extract(folder.path())
        .unwrap();
    let path = folder.path().join(NAME);
    (folder, path)
}

/// The arrays of `expected.npz`, as the bytes after their headers.
fn expected() -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(data("expected.npz")).unwrap()).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut member = archive.by_index(index).unwrap();
            let name = member.name().unwrap().trim_end_matches(".npy").to_owned();
            let mut bytes = vec![];
            member.read_to_end(&mut bytes).unwrap();
            let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
            (name, bytes[start..].to_vec())
        })
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

fn whole(bytes: &[u8]) -> Vec<i64> {
    bytes.as_chunks().0.iter().map(|value| i64::from_le_bytes(*value)).collect()
}

#[track_caller]
fn close(found: impl Iterator<Item = f32>, expected: &[f32]) {
    let found: Vec<f32> = found.collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 2.0 * f32::EPSILON * expected.abs(),
            "{found}, {expected}"
        );
    }
}

#[test]
fn a_session_holds_what_its_definition_says() {
    let (_folder, path) = session();
    let Imported { scan, account } = experanto(&path).unwrap();
    let expected = expected();
    assert_eq!(scan.trial_idx().unwrap(), whole(&expected["trial"]));
    close(scan.responses().iter().copied(), &floats(&expected["responses"]));
    close(scan.behavior().unwrap().iter().copied(), &floats(&expected["behavior"]));
    close(scan.pupil_center().unwrap().iter().copied(), &floats(&expected["pupil_center"]));
    for (trial, image) in whole(&expected["image"]).into_iter().enumerate() {
        let pixels = &expected["images"][image as usize * 40..][..40];
        let units: Vec<f32> = pixels.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        assert_eq!(scan.stimuli().image(scan.trial_image()[trial]), units);
    }
    assert_eq!(
        [Tier::Train, Tier::Validation, Tier::Test].map(|tier| scan.trials_in(tier).len()),
        [3, 1, 5]
    );
    assert_eq!(scan.repeats().values().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(scan.origin(), Origin { animal_id: 17, session: 3, scan_idx: 5 });
    let dropped = account.dropped().join("\n");
    for sentence in [
        "1 screen trials: blank",
        "1 screen trials: video",
        "1 screen trials: invalid",
        "1 screen trials: image, marked as an invalid trial",
        "1 screen trials: image without a tier",
        "1 image trials whose window extends beyond a recording",
        "1 image trials with non-finite eye_tracker or treadmill",
    ] {
        assert!(dropped.contains(sentence), "{sentence:?} is not in: {dropped}");
    }
    assert_eq!(account.dropped().len(), 7, "{dropped}");
}

/// Asserts that the error is one sentence that names the file, what was expected and found, and
/// what to do.
#[track_caller]
fn refused(change: impl FnOnce(&Path), parts: &[&str]) {
    let (_folder, path) = session();
    change(&path);
    let error = experanto(&path).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(
        !error.contains('\n')
            && error.contains("; ")
            && error.starts_with(&path.display().to_string()),
        "{error}"
    );
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from:?} is not in: {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn what_is_cut_missing_or_on_another_clock_is_named() {
    refused(
        |path| {
            let file = path.join("responses/data.mem");
            let whole = fs::read(&file).unwrap();
            fs::write(&file, &whole[..whole.len() - 5]).unwrap();
        },
        &[
            "responses/data.mem",
            "8160 bytes, for 510 samples of 4 signals",
            "found 8155",
            "truncated",
        ],
    );
    refused(
        |path| fs::remove_file(path.join("screen/timestamps.npy")).unwrap(),
        &["screen/timestamps.npy: could not read", "copied completely"],
    );
    refused(
        |path| fs::remove_file(path.join("responses/meta.yml")).unwrap(),
        &["responses/meta.yml: could not read", "copied completely"],
    );
    refused(
        |path| {
            edit(&path.join("responses/meta.yml"), "start_time: 1520000123.25", "start_time: 23.25")
        },
        &[
            "most of the 11 image trials within all recordings",
            "0 of them, 11 beyond a recording",
            "same clock",
        ],
    );
    refused(
        |path| {
            edit(&path.join("screen/meta/00004.yml"), "first_frame_idx: 4", "first_frame_idx: 400")
        },
        &["00004.yml: first_frame_idx", "found 400"],
    );
    refused(
        |path| edit(&path.join("screen/meta/00004.yml"), "hash4", "hash5"),
        &["condition_hash", "hash5", "different pixels"],
    );
    refused(
        |path| edit(&path.join("screen/meta/00004.yml"), "modality: image", "modality: [image"),
        &["00004.yml", "YAML keys and values"],
    );
    refused(
        |path| edit(&path.join("responses/meta.yml"), "float32", "complex64"),
        &["responses/meta.yml: dtype", "complex64"],
    );
    refused(
        |path| {
            // A neuron that was lost during the whole session.
            let file = path.join("responses/data.mem");
            let mut samples = fs::read(&file).unwrap();
            samples
                .as_chunks_mut::<16>()
                .0
                .iter_mut()
                .for_each(|row| row[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
            fs::write(&file, samples).unwrap();
        },
        &[
            "trials: expected most of the 11",
            "10 with non-finite responses",
            "remove signals without finite values",
        ],
    );
}

#[test]
fn times_in_f32_are_refused() {
    let (_folder, path) = session();
    let file = path.join("screen/timestamps.npy");
    let doubles = fs::read(&file).unwrap();
    let start = doubles.len() - 18 * 8;
    let header = String::from_utf8_lossy(&doubles[..start]).replace("<f8", "<f4");
    let header = [&doubles[..10], &header.as_bytes()[header.len() - (start - 10)..]].concat();
    let short: Vec<u8> = doubles[start..]
        .as_chunks()
        .0
        .iter()
        .flat_map(|time| (f64::from_le_bytes(*time) as f32).to_le_bytes())
        .collect();
    fs::write(&file, [header, short].concat()).unwrap();
    let error = experanto(&path).unwrap_err().to_string();
    assert!(error.contains("timestamps.npy") && error.contains("times in f64"), "{error}");
}

#[test]
fn a_session_without_eye_and_treadmill_has_no_behavior() {
    let (_folder, path) = session();
    fs::remove_dir_all(path.join("eye_tracker")).unwrap();
    let Imported { scan, account } = experanto(&path).unwrap();
    assert_eq!((scan.behavior(), scan.pupil_center(), scan.responses().nrows()), (None, None, 10));
    assert!(
        account.taken().iter().any(|line| line == "no behavior and no pupil center"),
        "{account}"
    );
}
