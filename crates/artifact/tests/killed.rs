//! Writers killed at any moment: the target is always complete, and the next write removes their
//! leftovers.
#![allow(clippy::print_stdout, reason = "the processes of this test communicate through it")]

use brainprior_artifact::{FileError, replace};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Passes the target to the process that will be killed.
const TARGET: &str = "BRAINPRIOR_TEST_TARGET";
/// Large enough that kills interrupt writes.
const BYTES: usize = 1 << 20;
const KILLS: u64 = 40;

/// Content number `number`: every byte is the number.
fn content(number: u8) -> Vec<u8> {
    vec![number; BYTES]
}

fn fill(folder: &Path, number: u8) -> Result<(), FileError> {
    for name in ["a", "b", "c"] {
        let path = folder.join(name);
        fs::write(&path, content(number)).map_err(FileError::refused(&path, "write"))?;
    }
    Ok(())
}

/// The number of the content of a file, after checking that it is complete.
#[track_caller]
fn number_of(file: &Path) -> u8 {
    let bytes = fs::read(file).unwrap();
    assert_eq!(bytes.len(), BYTES, "{} is complete", file.display());
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{} is from one writer", file.display());
    bytes[0]
}

#[test]
#[ignore = "runs until it is killed by the tests below"]
fn writes_files_for_ever() {
    let Some(target) = std::env::var_os(TARGET).map(PathBuf::from) else { return };
    println!("ready");
    for number in (0..=u8::MAX).cycle() {
        replace::bytes(&target, &content(number)).unwrap();
    }
}

#[test]
#[ignore = "runs until it is killed by the tests below"]
fn writes_folders_for_ever() {
    let Some(target) = std::env::var_os(TARGET).map(PathBuf::from) else { return };
    println!("ready");
    for number in (0..=u8::MAX).cycle() {
        replace::folder(&target, |folder| fill(folder, number)).unwrap();
    }
}

/// A child process, killed when this value is dropped.
struct Writer(Child);

impl Writer {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs this test binary as `writer`.
fn start(writer: &str, target: &Path) -> Writer {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([writer, "--exact", "--ignored", "--nocapture"])
        .env(TARGET, target)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("ready")), "the writer starts");
    Writer(child)
}

/// Delays that differ from kill to kill and span several writes.
fn moment(kill: u64) -> Duration {
    Duration::from_micros(kill * 7919 % 30_000)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_whole_after_every_kill_and_nothing_is_left_after_the_next_write() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("matrix.h5");
    replace::bytes(&target, &content(1)).unwrap();
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let mut child = start("writes_files_for_ever", &target);
        std::thread::sleep(moment(kill));
        child.kill();
        number_of(&target);
        interrupted += u32::from(names(folder.path()).len() > 1);
        replace::bytes(&target, &content(2)).unwrap();
        assert_eq!((number_of(&target), names(folder.path())), (2, vec!["matrix.h5".to_owned()]));
    }
    assert!(interrupted > 0, "no kill found a write unfinished");
}

#[test]
fn a_folder_is_whole_after_every_kill_and_nothing_is_left_after_the_next_write() {
    let around = tempfile::tempdir().unwrap();
    let target = around.path().join("scan");
    replace::folder(&target, |folder| fill(folder, 1)).unwrap();
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let mut child = start("writes_folders_for_ever", &target);
        std::thread::sleep(moment(kill));
        child.kill();
        interrupted += u32::from(names(around.path()).len() > 1);
        // On file systems without an exchange, the old folder may have been moved aside.
        replace::sweep(around.path()).unwrap();
        assert_eq!(names(around.path()), ["scan"]);
        let files = ["a", "b", "c"].map(|name| number_of(&target.join(name)));
        assert!(
            files.iter().all(|number| *number == files[0]),
            "all files are from one write: {files:?}"
        );
        replace::folder(&target, |folder| fill(folder, 2)).unwrap();
        assert_eq!(
            (number_of(&target.join("c")), names(around.path())),
            (2, vec!["scan".to_owned()])
        );
    }
    assert!(interrupted > 0, "no kill found a write unfinished");
}

#[test]
fn a_live_writer_keeps_its_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("matrix.h5");
    let mut child = start("writes_files_for_ever", &target);
    // No pauses, so that many of these writes meet an unfinished write of the other process, which
    // would fail if one of its temporary files were removed.
    for _ in 0..50 {
        replace::bytes(&target, &content(2)).unwrap();
        number_of(&target);
    }
    assert_eq!(child.0.try_wait().unwrap(), None, "the other writer goes on");
}
