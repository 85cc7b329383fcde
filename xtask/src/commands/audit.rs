//! Checks of the dependencies (licenses, sources and bans with cargo-deny, unused ones with
//! cargo-machete) and of a release (its packages, the oldest supported Rust).

use crate::bootstrap::{PROFILE, cargo_command};
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A checker installed by cargo: its package, the version for which the checks were written, and
/// its arguments.
struct Checker {
    package: &'static str,
    version: &'static str,
    arguments: &'static [&'static str],
}

const CHECKERS: [Checker; 2] = [
    // Advisories are left out: they need a database fetched by git, which not every machine can
    // reach.
    Checker {
        package: "cargo-deny",
        version: "0.20.2",
        arguments: &["--all-features", "check", "licenses", "bans", "sources"],
    },
    // It does not follow the `path` attribute by which the fuzz targets include their readers.
    Checker {
        package: "cargo-machete",
        version: "0.9.2",
        arguments: &["--with-metadata", "crates", "xtask"],
    },
];

/// Packages that are not published.
const UNPUBLISHED: [&str; 2] = ["xtask", "brainprior-pipeline"];

/// The oldest supported Rust.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Installs missing checkers into the target folder and runs them on the workspace, packs the
/// crates that can be published, and checks the workspace with the oldest supported Rust if rustup
/// has it.
///
/// # Errors
/// Names the checker that could not be installed or reported problems; its output is printed above.
pub(crate) fn run(workspace: &Path, target: &Path, environment: &Environment) -> Result<()> {
    let tools = target.join("tools");
    let mut complaints = Vec::new();
    for checker in &CHECKERS {
        let program = installed(checker, workspace, &tools, environment)?;
        let status = Command::new(&program)
            .current_dir(workspace)
            .args(checker.arguments)
            .status()
            .with_context(|| format!("could not start {}", program.display()))?;
        if !status.success() {
            complaints.push(checker.package);
        }
    }
    if !package(workspace, environment)? {
        complaints.push("cargo package");
    }
    if !check_with_the_oldest_rust(workspace, target, environment)? {
        complaints.push("the oldest Rust");
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        bail!("{} reported problems: see above", complaints.join(" and "))
    }
}

/// Packs the crates that can be published into `target/package`. It does not compile the packages,
/// since that would compile candle and HDF5 once more; `cargo xtask test` has compiled the same
/// sources.
fn package(workspace: &Path, environment: &Environment) -> Result<bool> {
    let mut what = vec!["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"];
    what.extend(UNPUBLISHED.iter().flat_map(|name| ["--exclude", name]));
    Ok(cargo_command(workspace, environment, &what, &[])
        .status()
        .context("could not start cargo")?
        .success())
}

/// Checks the workspace with [`OLDEST_RUST`] in a separate target folder, or says that rustup does
/// not have it.
fn check_with_the_oldest_rust(
    workspace: &Path,
    target: &Path,
    environment: &Environment,
) -> Result<bool> {
    let known = Command::new("rustup").args(["run", OLDEST_RUST, "rustc", "--version"]).output();
    if !known.is_ok_and(|output| output.status.success()) {
        println!(
            "Skipped the check with Rust {OLDEST_RUST}, which is not installed; run `rustup toolchain install --profile minimal {OLDEST_RUST}`"
        );
        return Ok(true);
    }
    let mut cargo = Command::new("rustup");
    cargo
        .current_dir(workspace)
        .args(["run", OLDEST_RUST, "cargo", "check", "--workspace", "--locked"])
        .args(PROFILE);
    cargo.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    cargo.env("CARGO_TARGET_DIR", target.join("oldest-rust"));
    Ok(cargo.status().context("could not start rustup")?.success())
}

/// The program of a checker, built the first time.
fn installed(
    checker: &Checker,
    workspace: &Path,
    tools: &Path,
    environment: &Environment,
) -> Result<PathBuf> {
    let program = tools.join("bin").join(checker.package);
    let version = Command::new(&program).arg("--version").output().ok();
    let is_ours = version
        .is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains(checker.version));
    if !is_ours {
        eprintln!(
            "Building {} {}, once; this takes some minutes.",
            checker.package, checker.version
        );
        let root = tools.display().to_string();
        let what = [
            "install",
            "--quiet",
            "--locked",
            "--root",
            &root,
            "--version",
            checker.version,
            checker.package,
        ];
        let status = cargo_command(workspace, environment, &what, &[])
            .status()
            .context("could not start cargo")?;
        if !status.success() {
            bail!("`cargo {}` ended with {status}", what.join(" "));
        }
    }
    Ok(program)
}
