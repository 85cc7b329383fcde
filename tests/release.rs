//! Checks the requirements of a release, read from `cargo metadata` and the files of the
//! repository.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All packages of the workspace and of what it depends on, on any platform; those that only others
/// need are downloaded if this machine lacks them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(repository())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("cargo metadata names no packages")
    };
    packages
}

/// Those that can be published.
fn published() -> Vec<Value> {
    let ours = |package: &Value| package["source"].is_null() && package["publish"].is_null();
    packages().into_iter().filter(ours).collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().expect("a package has a name")
}

#[test]
fn the_facade_and_the_libraries_can_be_published_and_nothing_else() {
    let mut names: Vec<String> =
        published().iter().map(|package| name(package).to_owned()).collect();
    names.sort();
    let libraries = [
        "artifact",
        "classifier",
        "images",
        "kernels",
        "recording",
        "response-model",
        "robustness",
        "similarity",
    ];
    let expected: Vec<String> = std::iter::once("brainprior".to_owned())
        .chain(libraries.iter().map(|library| format!("brainprior-{library}")))
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn published_packages_say_what_they_are_and_hold_their_licenses() {
    for package in published() {
        let name = name(&package);
        let entries = |key: &str| package[key].as_array().map_or(0, Vec::len);
        assert!(package["description"].is_string() && package["license"].is_string(), "{name}");
        assert!(
            (1..=5).contains(&entries("keywords")) && (1..=5).contains(&entries("categories")),
            "{name}"
        );
        assert!(!package["metadata"]["docs"]["rs"].is_null(), "{name}: no metadata for docs.rs");
        let folder =
            Path::new(package["manifest_path"].as_str().expect("a package has a manifest"))
                .parent()
                .unwrap();
        let read = |file: &str| {
            fs::read_to_string(folder.join(file))
                .unwrap_or_else(|error| panic!("{name}, {file}: {error}"))
        };
        for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert_eq!(read(license), text(license), "{name}, {license}");
        }
        assert!(read("README.md").starts_with(&format!("# {name}\n")), "{name}");
        assert!(
            read("src/lib.rs").starts_with("#![doc = include_str!(\"../README.md\")]\n"),
            "{name}: the readme is not tested"
        );
    }
}

#[test]
fn published_packages_ask_for_each_other_in_the_version_that_they_have() {
    for package in published() {
        let wanted = format!("^{}", package["version"].as_str().expect("a package has a version"));
        for dependency in
            package["dependencies"].as_array().expect("a package lists its dependencies")
        {
            if !dependency["path"].is_null() {
                assert_eq!(
                    dependency["req"],
                    wanted.as_str(),
                    "{} asks for {}",
                    name(&package),
                    dependency["name"]
                );
            }
        }
    }
}

#[test]
fn every_file_that_names_the_version_names_that_of_the_workspace() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("CHANGELOG.md", format!("\n## {version}\n")),
        ("CITATION.cff", format!("\nversion: {version}\n")),
        ("crates/python/Cargo.toml", format!("\nversion = \"{version}\"\n")),
        ("crates/python/pyproject.toml", format!("\nversion = \"{version}\"\n")),
    ] {
        assert!(text(file).contains(&line), "{file} lacks the line{line}");
    }
}

#[test]
fn lock_files_outside_the_workspace_follow_it() {
    for manifest in ["crates/python/Cargo.toml", "fuzz/Cargo.toml"] {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--offline", "--format-version", "1"])
            .args(["--manifest-path", manifest])
            .current_dir(repository())
            .output()
            .expect("cargo starts");
        // A machine that never built this package lacks some of its dependencies, which is another
        // error than a lock file that needs a change.
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("lock file"),
            "{manifest}: {said}run `cargo metadata --manifest-path {manifest}` and commit the lock file"
        );
    }
}

/// The lock file must satisfy this; `cargo xtask audit` checks the workspace with the oldest Rust
/// itself.
#[test]
fn no_dependency_needs_a_newer_rust_than_the_workspace() {
    let parts = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().expect("a version")).collect()
    };
    let ours = parts(env!("CARGO_PKG_RUST_VERSION"));
    for package in packages() {
        if let Some(theirs) = package["rust_version"].as_str() {
            assert!(parts(theirs)[..2] <= ours[..], "{} needs Rust {theirs}", name(&package));
        }
    }
}
