//! `cargo xtask fuzz`: readers of files under libFuzzer, one after the other.

use crate::bootstrap::cargo_command;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the compiler puts into every function, so that libFuzzer sees which ways a file takes; no nightly toolchain is needed for it.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Seconds after which an input hangs, and what the process may take: readers hold less, and the HDF5 library is not counted with them.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=4096", "-max_len=20000"];

/// Builds the readers with coverage, and feeds them what libFuzzer makes of the seeds. Corpora stay in `fuzz/target/corpus`.
///
/// # Errors
/// A build that fails; an unknown reader; readers that panic, hang or take too much memory, with the file that makes them do so.
pub(crate) fn run(workspace: &Path, environment: &Environment, reader: Option<&str>, minutes: u32) -> Result<()> {
    let folder = workspace.join("fuzz");
    let triple = host_triple()?;
    // Named, so that build scripts are compiled without.
    let build = ["build", "--release", "--target", &triple];
    let mut compile = cargo_command(&folder, environment, &build, &[]);
    let status = compile.env("RUSTFLAGS", COVERAGE).env_remove("CARGO_TARGET_DIR").status().context("could not start cargo")?;
    if !status.success() {
        bail!("the readers do not build: see above; libFuzzer itself needs a compiler of C++");
    }
    let program = folder.join("target").join(&triple).join("release/brainprior-fuzz");
    let names = readers(&program)?;
    let chosen: Vec<&String> = names.iter().filter(|name| reader.is_none_or(|reader| reader == *name)).collect();
    if chosen.is_empty() {
        bail!("there is no reader {:?}; there are {}", reader.unwrap_or_default(), names.join(", "));
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
        false => bail!("found something in {}: the inputs lie in fuzz/target/found", stopped.join(", ")),
    }
}

fn host_triple() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("could not start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say for what it compiles")?.to_owned())
}

/// Their names, which the program lists where it is given none.
fn readers(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).env("BRAINPRIOR_READER", "").stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("could not start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let listed =
        text.lines().find_map(|line| line.split_once("must be one of ")).context("the readers do not say their names")?.1;
    Ok(listed.split(", ").map(str::to_owned).collect())
}

/// Whether a reader withstood all inputs.
fn fuzz(program: &Path, target: &Path, name: &str, minutes: u32) -> Result<bool> {
    let folder = |kind: &str| -> Result<PathBuf> {
        let folder = target.join(kind).join(name);
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        Ok(folder)
    };
    let (corpus, found) = (folder("corpus")?, folder("found")?);
    // In memory, where there is such a place.
    let memory = Path::new("/dev/shm");
    let space =
        if memory.is_dir() { memory.join(format!("brainprior-fuzz-{}", std::process::id())) } else { target.join("space") };
    fs::create_dir_all(&space).with_context(|| format!("could not make {}", space.display()))?;
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
