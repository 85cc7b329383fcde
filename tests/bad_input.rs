//! Bad input on the command line: each message names the file or key, what was expected and what
//! was found.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Held while an HDF5 file is open or a process starts: a process started while a file is open
/// inherits its lock and keeps others from opening the file.
static OPEN_FILES: Mutex<()> = Mutex::new(());

#[track_caller]
fn fails(arguments: &[&str], parts: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = {
        let _alone = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        command.spawn().unwrap()
    };
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} was accepted");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    fails(
        &["pipeline", "--dry-run", "--set", "training.epoch=3"],
        &["unknown key `training.epoch`", "did you mean `epochs`?"],
    );
    fails(
        &["pipeline", "--dry-run", "--set", "training.epochs=many"],
        &["expects integer", "found string"],
    );
    fails(
        &[
            "pipeline",
            "--dry-run",
            "--set",
            "training.conditions=[\"none\", \"denoised alpha=80\"]",
        ],
        &[
            "training.conditions now holds tables",
            "{ target = \"none\" },",
            "{ target = \"denoised\", alpha = 80 },",
        ],
    );
    fails(&["pipeline", "--only", "trian"], &["no such stage", "train"]);
}

#[test]
fn files_that_are_not_there_are_named() {
    fails(
        &["pipeline", "--dry-run", "--set", "scans.files=nowhere.h5"],
        &["scans", "nowhere.h5 does not exist"],
    );
    fails(
        &["pipeline", "--dry-run", "--set", "images.file=nowhere.tar.gz"],
        &["images.file", "nowhere.tar.gz does not exist"],
    );
    fails(&["inspect", "nowhere.h5"], &["nowhere.h5"]);
}

#[test]
fn a_truncated_scan_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.h5");
    {
        let _alone = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let file = hdf5::File::create(&path).unwrap();
        file.new_dataset::<f32>()
            .shape((100, 100))
            .create("responses")
            .unwrap()
            .write(&hdf5_matrix())
            .unwrap();
        file.close().unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fails(&["validate", &text(&path)], &["scan.h5"]);
    std::fs::write(&path, "not a scan").unwrap();
    fails(&["validate", &text(&path)], &["scan.h5", "HDF5 signature"]);
}

fn hdf5_matrix() -> ndarray::Array2<f32> {
    ndarray::Array2::zeros((100, 100))
}

#[test]
fn what_a_reader_refuses_has_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.h5");
    {
        let _alone = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let file = hdf5::File::create(&path).unwrap();
        file.new_dataset::<f32>().shape((100, 100)).create("responses").unwrap();
        file.new_dataset::<u8>().shape((90, 1, 36, 64)).create("images").unwrap();
        file.close().unwrap();
    }
    fails(
        &["validate", &text(&path)],
        &["scan.h5: images: expected complete data", "write all of it"],
    );
    let error = brainprior_pipeline::files::validate(&path).unwrap_err();
    assert!(!format!("{error:#}").contains('\n'), "{error:#}");
}
