//! The whole pipeline in a run of seconds: from simulated scans to the report, twice with different
//! numbers of threads.

use std::path::Path;
use std::process::{Command, Output};

/// A run small enough for a test, in which every stage does its real work.
const SMALL: &[&str] = &[
    "name=small",
    "simulation.scans=2",
    "simulation.neurons=24",
    "simulation.images=60",
    "simulation.oracle_images=10",
    "simulation.repeats=4",
    "images.train=128",
    "images.test=40",
    "response.core.channels=[4, 4]",
    "response.core.kernels=[7, 3]",
    "response.optimization.max_epochs=6",
    "training.seeds=2",
    "training.epochs=2",
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

fn pipeline(run: &Path, threads: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["--threads", threads, "pipeline", "--run"]).arg(run);
    for setting in SMALL.iter().chain(more) {
        command.args(["--set", setting]);
    }
    command
}

#[track_caller]
fn succeed(mut command: Command) -> Output {
    let output = command.output().expect("the pipeline starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn from_scans_to_the_report_the_same_bytes_for_any_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    succeed(pipeline(&one, "1", &[]));
    let output = succeed(pipeline(&two, "2", &[]));
    let read = |run: &Path| std::fs::read_to_string(run.join("results.json")).unwrap();
    assert_eq!(read(&one), read(&two), "threads do not change results");

    let results: serde_json::Value = serde_json::from_str(&read(&two)).unwrap();
    assert_eq!(results["networks"].as_array().unwrap().len(), 6);
    assert_eq!(results["scans"].as_array().unwrap().len(), 2);
    let conditions: Vec<&str> = results["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["condition"].as_str().unwrap())
        .collect();
    assert_eq!(conditions, ["none", "denoised", "shuffled"]);
    for network in results["networks"].as_array().unwrap() {
        let gamma: f64 =
            network["gamma"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).sum();
        assert!((gamma - 1.0).abs() < 1e-5, "gamma is a mixture: {gamma}");
        let attacks = network["attacks"].as_object().unwrap();
        assert_eq!(attacks.keys().collect::<Vec<_>>(), ["ensemble_l2", "ensemble_linf", "fgsm"]);
    }
    let compared: Vec<&str> = results["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["condition"].as_str().unwrap())
        .collect();
    assert_eq!(compared, ["denoised", "shuffled"]);
    let terminal = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "denoised",
        "report.html",
        "mean corruption error",
        "min. l2, times baseline",
        "All targets have the same force",
    ] {
        assert!(terminal.contains(part), "{part}: {terminal}");
    }
    assert!(
        !terminal.contains("kept"),
        "retention, which is high for any inaccurate network, is not a result: {terminal}"
    );
    assert!(!terminal.contains('±'), "two seeds appear as two values: {terminal}");

    // Every record names the commit of the build, if git knew it.
    let record = std::fs::read_to_string(two.join("train/denoised-seed0/record.json")).unwrap();
    assert_eq!(
        record.contains("\"commit\""),
        option_env!("BRAINPRIOR_COMMIT").is_some(),
        "{record}"
    );

    let report = std::fs::read_to_string(two.join("report.html")).unwrap();
    assert!(report.contains("<svg") && report.contains("data:image/png;base64,"));
    assert!(
        !report.contains("http:") && !report.contains("https:") && !report.contains("<script "),
        "the page is self-contained"
    );
    assert!(
        report.contains(
            "Two seeds cannot show whether denoised is more accurate than none under noise"
        )
    );
    assert!(
        report.contains("Can the denoised target be trusted?")
            && !report.contains("This run is in progress")
    );
    assert_eq!(
        report.matches("<figure>").count(),
        report.matches("download=\"").count(),
        "every figure has its numbers"
    );
    for part in ["response/seed0", "train/none-seed0", "train/denoised-seed1"] {
        let events =
            |run: &Path| std::fs::read(run.join(part).join("events.out.tfevents")).unwrap();
        assert!(events(&one) == events(&two) && events(&two).len() > 100, "{part}");
    }

    // The same command again only reports that everything is finished.
    let before = modified(&two.join("train/denoised-seed0/best.safetensors"));
    let output = succeed(pipeline(&two, "2", &[]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("already done").count(), 4 + 6 + 6 + 12, "{said}");
    assert_eq!(modified(&two.join("train/denoised-seed0/best.safetensors")), before);

    // Another noise level repeats the evaluation, but nothing before it, nor the smallest
    // perturbations.
    let output = succeed(pipeline(&two, "2", &["robustness.gaussian=[0.0, 0.2]"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("already done").count(), 4 + 6 + 12, "{said}");

    for file in [
        "results.json",
        "scans/sim-1.h5",
        "scans/sim-1.truth.h5",
        "images/images.safetensors",
        "response/predicted-0.h5",
    ]
    .into_iter()
    .chain(["similarity/denoised.h5", "train/shuffled-seed1/best.safetensors"])
    {
        let output = succeed(xtask("validate", &two.join(file)));
        assert!(String::from_utf8_lossy(&output.stdout).contains("a valid"), "{file}");
        succeed(xtask("inspect", &two.join(file)));
    }
}

fn xtask(task: &str, file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg(task).arg(file);
    command
}

fn modified(path: &Path) -> std::time::SystemTime {
    path.metadata().and_then(|metadata| metadata.modified()).unwrap()
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("dry");
    let mut command = pipeline(&run, "1", &[]);
    command.arg("--dry-run");
    let output = succeed(command);
    assert!(String::from_utf8_lossy(&output.stderr).contains("would run"));
    assert!(!run.exists());
}
