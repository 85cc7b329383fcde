//! `cargo xtask fuzz`: fuzzes the file readers with libFuzzer, one after the other.

use crate::bootstrap::cargo_command;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Compiler flags for the coverage instrumentation of libFuzzer, which work without a nightly
/// toolchain.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Timeout per input in seconds, and the memory limit of the process: readers hold less, but the
/// HDF5 library comes on top.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=4096", "-max_len=20000"];

/// Builds the readers with coverage and fuzzes them from their seeds. Corpora are kept in
/// `fuzz/target/corpus`.
///
/// # Errors
/// Returns an error if the build fails or a reader is unknown, panics, hangs or takes too much
/// memory; then it names the input file.
pub(crate) fn run(
    workspace: &Path,
    environment: &Environment,
    reader: Option<&str>,
    minutes: u32,
) -> Result<()> {
    let folder = workspace.join("fuzz");
    let triple = host_triple()?;
    // Naming the target keeps these flags from build scripts.
    let build = ["build", "--release", "--target", &triple];
    let mut compile = cargo_command(&folder, environment, &build, &[]);
    let status = compile
        .env("RUSTFLAGS", COVERAGE)
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .context("could not start cargo")?;
    if !status.success() {
        bail!("the readers do not build: see above; libFuzzer needs a C++ compiler");
    }
    let program = folder.join("target").join(&triple).join("release/brainprior-fuzz");
    let names = readers(&program)?;
    let chosen: Vec<&String> =
        names.iter().filter(|name| reader.is_none_or(|reader| reader == *name)).collect();
    if chosen.is_empty() {
        bail!(
            "there is no reader {:?}; the readers are {}",
            reader.unwrap_or_default(),
            names.join(", ")
        );
    }
    let mut stopped = vec![];
    for name in chosen {
        println!("{name}: {minutes} min");
        if !fuzz(&program, &folder.join("target"), name, minutes)? {
            stopped.push(name.as_str());
        }
    }
    match stopped.is_empty() {
        true => Ok(()),
        false => {
            bail!("found problems in {}: the inputs are in fuzz/target/found", stopped.join(", "))
        }
    }
}

fn host_triple() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("could not start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not report its host")?.to_owned())
}

/// Names of the readers, which the program lists if called without one.
fn readers(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).env("BRAINPRIOR_READER", "").stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("could not start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let listed = text
        .lines()
        .find_map(|line| line.split_once("must be one of "))
        .context("the program lists no readers")?
        .1;
    Ok(listed.split(", ").map(str::to_owned).collect())
}

/// Whether a reader withstood all inputs.
fn fuzz(program: &Path, target: &Path, name: &str, minutes: u32) -> Result<bool> {
    let folder = |kind: &str| -> Result<PathBuf> {
        let folder = target.join(kind).join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        Ok(folder)
    };
    let (corpus, found) = (folder("corpus")?, folder("found")?);
    // Use memory for temporary files, if available.
    let memory = Path::new("/dev/shm");
    let space = if memory.is_dir() {
        memory.join(format!("brainprior-fuzz-{}", std::process::id()))
    } else {
        target.join("space")
    };
    fs::create_dir_all(&space).with_context(|| format!("could not create {}", space.display()))?;
    let status = Command::new(program)
        .arg(&corpus)
        .arg(format!("-max_total_time={}", 60 * minutes))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(LIMITS)
        .arg("-print_final_stats=1")
        .env("BRAINPRIOR_READER", name)
        .env("BRAINPRIOR_SEEDS", &corpus)
        .env("BRAINPRIOR_SPACE", &space)
        .env("RAYON_NUM_THREADS", "1")
        .env("HDF5_USE_FILE_LOCKING", "FALSE")
        .status()
        .with_context(|| format!("could not start {}", program.display()));
    let _ = fs::remove_dir_all(&space);
    Ok(status?.success())
}
