//! The allowed dependencies between packages of the workspace, checked with `cargo tree`.

use std::process::Command;

const LIBRARIES: [&str; 8] = [
    "artifact",
    "kernels",
    "images",
    "recording",
    "response-model",
    "similarity",
    "classifier",
    "robustness",
];

/// Names of all direct and indirect dependencies of `package` in a normal build.
fn dependencies(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo tree {package}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("cargo tree prints text");
    let names: Vec<String> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(names[0], package);
    names[1..].to_vec()
}

#[track_caller]
fn never(package: &str, forbidden: &[&str]) {
    let found = dependencies(package);
    for name in forbidden {
        assert!(!found.iter().any(|dependency| dependency == name), "{package} depends on {name}");
    }
}

#[test]
fn robustness_knows_neither_classifier_nor_recordings() {
    never("brainprior-robustness", &["brainprior-classifier", "brainprior-recording"]);
}

#[test]
fn classifiers_and_their_robustness_are_built_without_the_c_of_hdf5() {
    for package in [
        "brainprior-artifact",
        "brainprior-images",
        "brainprior-classifier",
        "brainprior-robustness",
        "brainprior",
    ] {
        never(package, &["hdf5-metno", "hdf5-metno-sys"]);
    }
}

#[test]
fn similarity_never_sees_the_response_model() {
    never("brainprior-similarity", &["brainprior-response-model", "brainprior-classifier"]);
}

#[test]
fn the_simulator_cannot_use_the_response_model() {
    never("brainprior-recording", &["brainprior-response-model", "brainprior-kernels"]);
}

#[test]
fn artifact_and_kernels_stand_alone_and_images_know_files_only() {
    for (package, known) in [("artifact", ""), ("kernels", ""), ("images", "artifact")] {
        let others = LIBRARIES.iter().filter(|name| **name != package && **name != known);
        let others: Vec<String> = others.map(|name| format!("brainprior-{name}")).collect();
        never(
            &format!("brainprior-{package}"),
            &others.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    never("brainprior-artifact", &["candle-core"]);
}

#[test]
fn the_terminal_belongs_to_the_orchestrator() {
    for library in LIBRARIES {
        never(
            &format!("brainprior-{library}"),
            &["anyhow", "clap", "indicatif", "tracing-subscriber", "xtask"],
        );
    }
    never("brainprior-pipeline", &["clap", "indicatif", "tracing-subscriber", "xtask"]);
}
