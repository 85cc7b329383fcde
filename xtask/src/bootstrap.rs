//! The light half: checks the machine, compiles the heavy half once, and hands over to it.

use crate::command_line::{Arguments, Command as Task, DeviceName};
use crate::commands::{audit, check_cuda, fuzz, python, test};
use crate::cuda_build;
use crate::fault;
use crate::native_tools::{self, Environment};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Prepares the machine, then either tests the workspace or builds the full program and runs it
/// with the same command line.
pub(crate) fn prepare_and_hand_over(arguments: &Arguments) -> Result<()> {
    let workspace = native_tools::workspace_root();
    let target = native_tools::target_folder()?;
    let device = matches!(arguments.device, DeviceName::Cuda | DeviceName::CudaTf32);
    if let (Task::Pipeline(pipeline), true, false) =
        (&arguments.command, device, cuda_build::is_there(&target))
        && pipeline.dry_run
    {
        println!(
            "nothing was done: this call would first find or download NVIDIA's toolkit and build for it, which takes some minutes \
             (docs/cuda.md), and then report what the stages would do. For the report on the CPU, use --dry-run without --device"
        );
        return Ok(());
    }
    let environment = native_tools::ensure(&target)?;
    match (&arguments.command, arguments.device) {
        (Task::Audit, _) => audit::run(&workspace, &target, &environment),
        (Task::Fuzz { reader, minutes }, _) => {
            fuzz::run(&workspace, &environment, reader.as_deref(), *minutes)
        }
        (Task::CheckCuda, _) => {
            let environment = cuda_build::environment(&workspace, &target, &environment)?;
            check_cuda::run(&workspace, &cuda_build::target_folder(&target), &environment)
        }
        (Task::Wheel, _) => python::wheel(&workspace, &target, &environment),
        (Task::Test(asked), DeviceName::Cpu) => {
            test::run(&workspace, &target, &environment, arguments.threads, *asked)
        }
        (Task::Test(_), _) => {
            bail!("`test` runs on the CPU; `cargo xtask check-cuda` runs the tests for devices")
        }
        (_, DeviceName::Cpu) => build_and_run(&workspace, &target, &environment, &PROFILE),
        (_, DeviceName::Cuda | DeviceName::CudaTf32) => {
            let environment = cuda_build::environment(&workspace, &target, &environment)?;
            build_and_run(
                &workspace,
                &cuda_build::target_folder(&target),
                &environment,
                &cuda_build::PROFILE,
            )
        }
    }
}

/// The same flags for every call of cargo, so that dependencies are compiled once.
pub(crate) const PROFILE: [&str; 3] = ["--release", "--features", "xtask/pipeline"];

/// Training allocates and frees the same large tensors in every step. By default glibc returns each
/// to the kernel at once, which takes as long as the arithmetic of a small network, and each thread
/// keeps memory that others cannot use. Other systems ignore these variables.
const ALLOCATOR: [(&str, &str); 4] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "4294967296"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// Candle's elementwise operations use threads that wait for each other by spinning, which halves
/// the speed of parallel trainings. This variable limits them; our own operations use the pool
/// sized by `--threads`.
const CANDLE_THREADS: &str = "RAYON_NUM_THREADS";

/// HDF5 refuses to open files on file systems without locks. It does not need locks: files are
/// renamed into place when complete, and runs lock their own work.
const HDF5_LOCKS: &str = "HDF5_USE_FILE_LOCKING";

fn build_and_run(
    workspace: &Path,
    target: &Path,
    environment: &Environment,
    profile: &[&str],
) -> Result<()> {
    let started = Instant::now();
    let binary = target.join("release/xtask");
    if !binary.exists() {
        eprintln!("Compiling the workspace for the first time: candle and HDF5 take some minutes.");
    }
    cargo(workspace, environment, &["build", "--package", "xtask"], profile)?;
    let seconds = started.elapsed().as_secs_f64();
    if seconds > 2.0 {
        eprintln!("build: {}", minutes(seconds));
    }
    let mut command = Command::new(&binary);
    command.args(std::env::args_os().skip(1)).envs(ALLOCATOR).env(CANDLE_THREADS, "1");
    command.env(HDF5_LOCKS, std::env::var_os(HDF5_LOCKS).unwrap_or_else(|| "FALSE".into()));
    command.envs(
        environment
            .iter()
            .filter(|(name, _)| *name == "LD_LIBRARY_PATH")
            .map(|(name, value)| (*name, value)),
    );
    let status =
        command.status().with_context(|| format!("could not start {}", binary.display()))?;
    if let Some(sentence) = fault::told_of(status) {
        eprintln!("{sentence}");
    }
    std::process::exit(status.code().unwrap_or(1));
}

/// Runs cargo and waits for it.
///
/// # Errors
/// Returns an error if cargo fails, with a hint about what may be missing.
pub(crate) fn cargo(
    workspace: &Path,
    environment: &Environment,
    what: &[&str],
    flags: &[&str],
) -> Result<()> {
    let status = cargo_command(workspace, environment, what, flags)
        .status()
        .context("could not start cargo")?;
    if status.success() {
        return Ok(());
    }
    let hint = match what[0] {
        "fmt" => {
            "\nRun `cargo fmt --all` (if cargo does not know it: rustup component add rustfmt)."
        }
        "clippy" => "\nIf clippy itself is missing: rustup component add clippy.",
        _ => "",
    };
    bail!("`cargo {} {}` ended with {status}{hint}", what.join(" "), flags.join(" "));
}

/// A cargo command.
pub(crate) fn cargo_command(
    workspace: &Path,
    environment: &Environment,
    what: &[&str],
    flags: &[&str],
) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace).args(what).args(flags);
    command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    command
}

/// A duration in words.
pub(crate) fn minutes(seconds: f64) -> String {
    format!("{} min {:02} s", seconds as u64 / 60, seconds as u64 % 60)
}
