//! Runs on realistic data: animals that saw different images, one recording given twice, files with
//! the same name, labeled images of other sizes.

use brainprior_artifact::npy::{Npy, Values};
use brainprior_images::{LabeledImages, LabeledSplit, procedural, write_labeled};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SMALL: &[&str] = &[
    "simulation.scans=1",
    "simulation.neurons=12",
    "simulation.images=60",
    "simulation.oracle_images=10",
    "simulation.repeats=4",
    "images.train=128",
    "images.test=40",
    "response.core.channels=[4, 4]",
    "response.core.kernels=[7, 3]",
    "response.optimization.max_epochs=2",
    "training.conditions=[{target=\"denoised\"}]",
    "training.seeds=1",
    "training.epochs=1",
    "training.base_channels=4",
    "training.pairs=4",
    "robustness.noise_images=40",
    "robustness.attack_images=10",
    "robustness.gaussian=[0.0, 0.1]",
    "robustness.linf=[0.01, 0.1]",
    "robustness.l2=[0.1, 1.0]",
    "robustness.passes=100",
    "robustness.corruption_images=10",
    "robustness.masking_images=10",
    "robustness.masking_queries=20",
];

fn pipeline(run: &Path, more: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["pipeline", "--run"]).arg(run);
    for setting in SMALL.iter().copied().chain(more.iter().map(String::as_str)) {
        command.args(["--set", setting]);
    }
    command.output().unwrap()
}

#[track_caller]
fn succeeds(run: &Path, more: &[String]) -> serde_json::Value {
    let output = pipeline(run, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&std::fs::read_to_string(run.join("results.json")).unwrap()).unwrap()
}

#[track_caller]
fn refused(run: &Path, more: &[String], parts: &[&str]) {
    let output = pipeline(run, more);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it was accepted");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// A simulated recording of images that no other seed shows.
fn scan(folder: &Path, name: &str, seed: u64) -> PathBuf {
    let run = folder.join(format!("simulated-{seed}"));
    let output =
        pipeline(&run, &[format!("seed={seed}"), "training.conditions=[{target=\"none\"}]".into()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::copy(run.join("scans/sim-1.h5"), &path).unwrap();
    path
}

fn files(paths: &[&Path]) -> String {
    format!(
        "scans.files={:?}",
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
    )
}

fn agreement_of_scans(results: &serde_json::Value) -> Vec<&str> {
    results["scans"].as_array().unwrap().iter().map(|scan| scan["name"].as_str().unwrap()).collect()
}

#[test]
fn animals_that_share_no_image_or_have_their_own_oracle_images_run_to_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (scan(folder.path(), "one/scan.h5", 1), scan(folder.path(), "two/scan.h5", 2));
    let results = succeeds(&folder.path().join("apart"), &[files(&[&one, &two])]);
    assert_eq!(
        agreement_of_scans(&results),
        ["one/scan.h5", "two/scan.h5"],
        "scans with the same file name are distinguished"
    );

    // The second animal saw the first one's training images, but other oracle images.
    let shared = folder.path().join("shared.h5");
    std::fs::copy(&two, &shared).unwrap();
    {
        let (from, to) = (hdf5::File::open(&one).unwrap(), hdf5::File::open_rw(&shared).unwrap());
        let single = |file: &hdf5::File| {
            let tiers: Vec<hdf5::types::FixedAscii<16>> =
                file.dataset("tiers").unwrap().read_raw().unwrap();
            (0..tiers.len()).filter(|row| tiers[*row].as_str() != "test").collect::<Vec<_>>()
        };
        let read = |file: &hdf5::File| file.dataset("images").unwrap().read_dyn::<u8>().unwrap();
        let (theirs, mut images) = (read(&from), read(&to));
        for (row, other) in single(&to).into_iter().zip(single(&from)) {
            images
                .index_axis_mut(ndarray::Axis(0), row)
                .assign(&theirs.index_axis(ndarray::Axis(0), other));
        }
        to.dataset("images").unwrap().write(&images).unwrap();
    }
    let results = succeeds(&folder.path().join("own-oracle"), &[files(&[&one, &shared])]);
    assert_eq!(agreement_of_scans(&results), ["scan", "shared"]);

    // The same recording in two files is rejected.
    let copy = folder.path().join("copy.h5");
    std::fs::copy(&one, &copy).unwrap();
    let parts = ["scan.h5 and", "copy.h5 hold the same responses", "remove one of them"];
    refused(&folder.path().join("twice"), &[files(&[&one, &copy])], &parts);
}

#[test]
fn every_control_that_the_field_asks_for_is_a_line_of_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let conditions = "training.conditions=[{target=\"none\"}, {target=\"none\", blur=1.5}, {target=\"random\"}, \
                      {target=\"low-pass-pixels\"}, {target=\"orientation-energy\"}]";
    let results = succeeds(&folder.path().join("controls"), &[conditions.into()]);
    let names: Vec<&str> = results["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["condition"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["none", "none blur=1.5", "random", "low-pass-pixels", "orientation-energy"]);
    let accuracy = |index: usize| {
        results["networks"][index]["history"].to_string() + &results["networks"][index].to_string()
    };
    assert_ne!(accuracy(0), accuracy(1), "the networks differ");
}

#[test]
fn labeled_images_of_other_sizes_go_through_or_are_refused_before_any_fit() {
    let folder = tempfile::tempdir().unwrap();
    let set = |side: usize| {
        let images = |count: usize| {
            let pixels =
                (0..count * side * side).map(|index| (index * index % 251) as u8).collect();
            let names = (0..10).map(|class| format!("class {class}")).collect();
            LabeledImages::new(
                1,
                side,
                side,
                pixels,
                (0..count).map(|index| (index % 10) as u8).collect(),
                names,
            )
            .unwrap()
        };
        let path = folder.path().join(format!("{side}.safetensors"));
        write_labeled(&path, &LabeledSplit { train: images(128), test: images(40) }).unwrap();
        format!("images.file={}", path.display())
    };
    let results = succeeds(&folder.path().join("28"), &[set(28)]);
    assert_eq!(results["networks"].as_array().unwrap().len(), 1);
    let run = folder.path().join("24");
    refused(
        &run,
        &[set(24)],
        &["24.safetensors", "at least 25 x 25 pixels", "found 24 x 24", "training.blocks"],
    );
    assert!(!run.join("response").exists(), "refused before the fits");
}

/// A grayscale set and its test images in the layout of CIFAR-10-C: fog changes nothing, contrast
/// makes all pixels black, and so does spatter, which is not part of the mean.
#[test]
fn corruption_errors_are_those_of_published_images_where_such_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let (path, published) =
        (folder.path().join("set.safetensors"), folder.path().join("CIFAR-10-C"));
    let split = procedural::ten_classes(400, 44, 3);
    write_labeled(&path, &split).unwrap();
    let test = split.test;
    std::fs::create_dir(&published).unwrap();
    let write = |name: &str, shape: Vec<usize>, bytes: Vec<u8>| {
        let array = Npy { shape, values: Values::Bytes(bytes) };
        std::fs::write(published.join(format!("{name}.npy")), array.to_bytes()).unwrap();
    };
    let clean: Vec<u8> = test.pixels().repeat(5).iter().flat_map(|gray| [*gray; 3]).collect();
    write("labels", vec![5 * 44], test.labels().repeat(5));
    write("fog", vec![5 * 44, 32, 32, 3], clean.clone());
    for name in ["contrast", "spatter"] {
        write(name, vec![5 * 44, 32, 32, 3], vec![0; clean.len()]);
    }
    let settings = || -> Vec<String> {
        let given = [
            format!("images.file={}", path.display()),
            format!("images.corrupted={}", published.display()),
        ];
        let same = [
            "images.skip_test=4",
            "images.train=400",
            "training.conditions=[{target=\"none\"}]",
            "training.epochs=8",
            "training.batch=16",
            "robustness.noise_images=10",
        ];
        given.into_iter().chain(same.map(str::to_owned)).collect()
    };
    let run = folder.path().join("run");
    let results = succeeds(&run, &settings());
    let network = &results["networks"][0];
    let clean_error = 1.0 - network["clean_accuracy"].as_f64().unwrap();
    let of = |family: &str| -> Vec<f64> {
        network["corruptions"][family]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error.as_f64().unwrap())
            .collect()
    };
    assert!(of("fog").iter().all(|error| (error - clean_error).abs() < 1e-12), "{network}");
    // Every black image is assigned to the same class.
    let of_class = |class: u8| {
        test.labels()[4..14].iter().filter(|label| **label == class).count() as f64 / 10.0
    };
    let black = of("contrast");
    assert!(
        (0..10).any(|class| (1.0 - of_class(class) - black[0]).abs() < 1e-12)
            && of("spatter") == black,
        "{network}"
    );
    assert!((clean_error - black[0]).abs() > 0.05, "the network depends on the images: {network}");
    let mean = network["mean_corruption_error"].as_f64().unwrap();
    assert!((mean - (clean_error + black[0]) / 2.0).abs() < 1e-12, "{network}");
    assert_eq!(network["published_corruptions"], true);
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("Error on the published images of CIFAR-10-C"));

    // If the folder belongs to another test set, a dry run also reports it, and writes nothing.
    let mut labels = test.labels().repeat(5);
    labels[50] = (labels[50] + 1) % 10;
    write("labels", vec![5 * 44], labels);
    let other = folder.path().join("other");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["pipeline", "--dry-run", "--run"]).arg(&other);
    for setting in SMALL.iter().map(|setting| (*setting).to_owned()).chain(settings()) {
        command.args(["--set", &setting]);
    }
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success()
            && message.contains("labels.npy: label 50: expected")
            && !other.exists(),
        "{message}"
    );
    refused(
        &other,
        &settings(),
        &["labels.npy: label 50", "the set's test image 6", "in the same order"],
    );
}
