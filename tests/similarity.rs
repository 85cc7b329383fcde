//! `cargo xtask similarity` and `compare` on files: killed and resumed, and read back by
//! `validate`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn xtask(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).current_dir(folder);
    command
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = xtask(folder, arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

const OUTPUTS: [&str; 4] = ["similarity.h5", "neighbours.h5", "pairs.h5", "histogram.json"];

#[test]
fn a_killed_sweep_ends_with_the_bytes_of_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = [
        "similarity",
        "--synthetic",
        "4000x1000",
        "--matrix",
        "f16",
        "--memory",
        "8",
        "--pairs",
        "5000",
        "--out",
    ];
    succeeds(folder.path(), &[&run[..], &["whole"]].concat());
    // Kill it at increasing times, resuming each time, until a run finishes.
    let mut delay = Duration::from_millis(120);
    let mut kills = 0;
    loop {
        let started = Instant::now();
        let mut child = xtask(folder.path(), &[&run[..], &["killed"]].concat())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if started.elapsed() > delay => break None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if let Some(status) = status {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        delay = delay * 3 / 2;
    }
    assert!(kills > 0, "the first run was not killed");
    for output in OUTPUTS {
        let read = |run: &str| std::fs::read(folder.path().join(run).join(output)).unwrap();
        assert!(read("whole") == read("killed"), "{output} differs");
    }
    // A kill while writing a small file may leave its hidden temporary file; the checkpoint and the
    // unfinished matrix are gone.
    let left = std::fs::read_dir(folder.path().join("killed")).unwrap();
    let mut left: Vec<String> =
        left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.retain(|name| !name.starts_with('.'));
    left.sort();
    let mut expected = OUTPUTS;
    expected.sort_unstable();
    assert_eq!(left, expected);
    for output in &OUTPUTS[..3] {
        let text = succeeds(folder.path(), &["validate", &format!("killed/{output}")]);
        assert!(text.contains("a valid"), "{text}");
    }

    let text = succeeds(folder.path(), &["compare", "whole/similarity.h5", "killed/similarity.h5"]);
    assert!(
        text.contains("4000 images in both")
            && text.lines().any(|line| line.starts_with("Spearman") && line.contains("1.0000")),
        "{text}"
    );
}

#[test]
fn what_is_asked_for_wrongly_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("layout.toml"), "").unwrap();
    for (arguments, part) in [
        (vec!["similarity", "--out", "o"], "--synthetic IMAGESxNEURONS"),
        (vec!["similarity", "--synthetic", "12", "--out", "o"], "100000x2000"),
        (vec!["similarity", "none.h5", "--out", "o"], "none.h5"),
        (vec!["compare", "none.h5", "none.h5"], "none.h5"),
        (
            vec!["compare", "layout.toml", "layout.toml"],
            "or a scan with repeated images, found Layout of arrays",
        ),
    ] {
        let output = xtask(folder.path(), &arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(part), "{arguments:?}: {text}");
    }
}
