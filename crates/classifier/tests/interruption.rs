//! Trainings that are killed or run out of disk: files stay intact, and the same command ends with
//! the same bytes.
//!
//! Every test run makes a few kills; the long form is
//!
//! ```sh
//! BRAINPRIOR_KILLS=50 cargo test --release --package brainprior-classifier --test interruption -- --nocapture
//! ```
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the long form prints what it did")]

use brainprior_classifier::{Error, Target, TrainConfig, TrainOptions, train};
use brainprior_images::{LabeledImages, StimulusSet};
use brainprior_similarity::vectors;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Tells the second process where to train.
const FOLDER: &str = "BRAINPRIOR_TRAIN_IN";
const KILLS: &str = "BRAINPRIOR_KILLS";
const FEW: usize = 6;
const RESULTS: [&str; 3] = ["training-state.safetensors", "best.safetensors", "last.safetensors"];

/// Noise with ten classes, on which nothing is learned but everything changes, and a target of
/// random vectors. Returns the error, if there is one.
fn training(folder: &Path) -> Option<Error> {
    let mut generator = ChaCha8Rng::seed_from_u64(4);
    let count = 160;
    let pixels = (0..count * 256).map(|_| generator.random()).collect();
    let labels = (0..count).map(|image| (image % 10) as u8).collect();
    let names = (0..10).map(|class| class.to_string()).collect();
    let data = LabeledImages::new(1, 16, 16, pixels, labels, names).unwrap();
    let stimuli =
        StimulusSet::new(8, 12, (0..30 * 96).map(|_| generator.random()).collect()).unwrap();
    let vector = Array2::from_shape_fn((30, 6), |_| generator.random_range(-1.0f32..1.0));
    let matrix = vectors(stimuli.ids(), vector.view(), &[1.0; 6], "random").unwrap();
    let config = TrainConfig {
        // Wide enough that writing a checkpoint takes a while.
        blocks: vec![1, 1],
        base_channels: 24,
        epochs: 6,
        batch: 32,
        pairs: 4,
        learning_rate: 0.01,
        ..TrainConfig::default()
    };
    train(
        &data,
        &Target::Similarity { stimuli, matrix },
        &config,
        folder,
        TrainOptions { seed: 3, ..TrainOptions::default() },
    )
    .err()
}

/// A second training process: this test only, as its environment tells it.
fn start(test: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn bytes(folder: &Path) -> Vec<Vec<u8>> {
    RESULTS.map(|name| std::fs::read(folder.join(name)).unwrap()).into()
}

/// Whether a checkpoint is being written right now.
fn writing(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_string_lossy().ends_with(".partial"))
}

#[test]
fn a_killed_training_ends_with_the_bytes_of_an_unbroken_one() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let error = training(Path::new(&folder));
        assert!(error.is_none(), "{error:?}");
        return;
    }
    let wanted: usize =
        std::env::var(KILLS).map_or(FEW, |kills| kills.parse().expect("a number of kills"));
    let whole = tempfile::tempdir().unwrap();
    let test = "a_killed_training_ends_with_the_bytes_of_an_unbroken_one";
    let started = Instant::now();
    assert!(start(test, whole.path()).wait().unwrap().success());
    let length = started.elapsed();
    let expected = bytes(whole.path());

    let mut generator = ChaCha8Rng::seed_from_u64(50);
    let (mut kills, mut while_writing, mut trainings) = (0, 0, 0);
    while kills < wanted {
        // Kill it repeatedly until it finishes: alternately at random times and while a checkpoint
        // is written.
        let folder = tempfile::tempdir().unwrap();
        loop {
            let mut child = start(test, folder.path());
            let started = Instant::now();
            let wait = length.mul_f64(generator.random_range(0.0..1.0));
            let in_writing = kills % 2 == 1;
            while child.try_wait().unwrap().is_none() {
                if started.elapsed() >= wait && (!in_writing || writing(folder.path())) {
                    break;
                }
                // Writing takes milliseconds.
                std::thread::sleep(Duration::from_micros(100));
            }
            if child.try_wait().unwrap().is_some_and(|status| status.success()) {
                break;
            }
            child.kill().unwrap();
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            kills += 1;
            while_writing += usize::from(writing(folder.path()));
            if kills >= wanted {
                assert!(start(test, folder.path()).wait().unwrap().success());
                break;
            }
        }
        trainings += 1;
        assert!(
            bytes(folder.path()) == expected,
            "training {trainings} differs after {kills} kills"
        );
        assert!(!writing(folder.path()), "leftovers of interrupted writes are removed");
    }
    println!(
        "{kills} kills, {while_writing} of them within the write of a checkpoint, over {trainings} trainings of {length:?}"
    );
    println!("every training ended with the same bytes");
}

/// Blocks of 512 or 1024 bytes (shells differ) that the second process may write to a file: enough
/// for a network but not for the whole state.
const BLOCKS: &str = "900";

#[test]
fn a_full_disk_is_named_and_leaves_what_was_there() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let error = training(Path::new(&folder)).expect("a disk that is too small");
        assert!(
            matches!(error, Error::File(_)) && error.to_string().contains(".safetensors"),
            "{error}"
        );
        return;
    }
    let test = "a_full_disk_is_named_and_leaves_what_was_there";
    let folder = tempfile::tempdir().unwrap();
    // With the signal ignored, a write beyond the limit fails as on a full disk.
    let limited =
        format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" --exact {test} --nocapture");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(limited).arg(std::env::current_exe().unwrap()).env(FOLDER, folder.path());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!folder.path().join(RESULTS[0]).exists() && !writing(folder.path()));

    // With enough space, the same call ends as if nothing had happened.
    assert!(training(folder.path()).is_none());
    let whole = tempfile::tempdir().unwrap();
    assert!(training(whole.path()).is_none());
    assert!(bytes(folder.path()) == bytes(whole.path()));
}
