//! Files and folders get the permissions of the umask, so that colleagues can read files on shared
//! disks.
#![cfg(unix)]

use brainprior_artifact::{FileError, archive, json, replace};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Passes the folder to the process with another umask.
const FOLDER: &str = "BRAINPRIOR_TEST_FOLDER";

#[test]
#[ignore = "runs under the umask that the test below gives it"]
fn writes_one_of_each() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    replace::bytes(&folder.join("report.html"), b"<html>").unwrap();
    replace::file(&folder.join("scan.h5"), |temporary| {
        fs::write(temporary, "data").map_err(FileError::refused(temporary, "write"))
    })
    .unwrap();
    replace::folder(&folder.join("scan"), |temporary| {
        fs::write(temporary.join("data"), "data").map_err(FileError::refused(temporary, "write"))
    })
    .unwrap();
    json::write(&folder.join("results.json"), &1).unwrap();
    let tensors = std::iter::empty::<(&str, archive::TensorView)>();
    archive::write(&folder.join("weights.safetensors"), &1, tensors).unwrap();
}

fn check(umask: &str, file: u32, directory: u32) {
    let folder = tempfile::tempdir().unwrap();
    // An older file is replaced together with its permissions.
    let old = folder.path().join("results.json");
    fs::write(&old, "0").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
    let status = Command::new("sh")
        .args(["-c", &format!("umask {umask}; exec \"$0\" writes_one_of_each --exact --ignored")])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["report.html", "scan.h5", "scan/data", "results.json", "weights.safetensors"] {
        assert_eq!(
            format!("{:o}", mode(&folder.path().join(name))),
            format!("{file:o}"),
            "{name} under umask {umask}"
        );
    }
    assert_eq!(format!("{:o}", mode(&folder.path().join("scan"))), format!("{directory:o}"));
}

#[test]
fn a_common_umask_lets_everybody_read() {
    check("022", 0o644, 0o755);
}

#[test]
fn a_strict_umask_lets_nobody_else_in() {
    check("077", 0o600, 0o700);
}
