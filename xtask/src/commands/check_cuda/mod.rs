//! `cargo xtask check-cuda`.

mod stand_in;

use crate::bootstrap::{cargo_command, minutes};
use crate::cuda_build::PROFILE;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use stand_in::StandIn;
use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The test targets that need a device.
const TESTS: [&str; 4] = ["--test", "devices", "--test", "device"];

/// The smallest pipeline with every stage and every attack.
const SMALL: &[&str] = &[
    "name=check-cuda",
    "simulation.scans=1",
    "simulation.neurons=8",
    "simulation.images=40",
    "simulation.oracle_images=6",
    "simulation.repeats=3",
    "images.train=32",
    "images.test=12",
    "response.core.channels=[4, 4]",
    "response.core.kernels=[5, 3]",
    "response.optimization.max_epochs=2",
    "training.seeds=1",
    "training.epochs=1",
    "training.base_channels=4",
    "training.pairs=4",
    "robustness.noise_images=8",
    "robustness.attack_images=6",
    "robustness.gaussian=[0.0, 0.1]",
    "robustness.linf=[0.1]",
    "robustness.l2=[1.0]",
    "robustness.passes=20",
    "robustness.corruption_images=2",
    "robustness.masking_images=2",
    "robustness.masking_queries=4",
];

/// Compiles and links everything with the feature, then runs the device tests on this machine's
/// GPU. Without a driver, it runs them, and a small pipeline, on a stand-in for a GPU.
///
/// # Errors
/// Returns an error if something does not compile or link, a test or the pipeline fails, or the
/// stand-in finds a fault in a kernel.
pub(crate) fn run(workspace: &Path, target: &Path, environment: &Environment) -> Result<()> {
    let started = Instant::now();
    let build = ["test", "--workspace", "--all-targets", "--no-run"];
    let status = cargo_command(workspace, environment, &build, &PROFILE)
        .status()
        .context("could not start cargo")?;
    if !status.success() {
        bail!("the workspace does not build with the feature cuda: see above");
    }
    println!("build of all targets: {}", minutes(started.elapsed().as_secs_f64()));
    // The driver stub of the toolkit is used if there is no driver.
    let has_driver = !environment
        .iter()
        .any(|(name, value)| *name == "LD_LIBRARY_PATH" && value.contains("/lib/stubs"));
    if has_driver {
        let tests = run_tests(cargo_command(
            workspace,
            environment,
            &["test", "--workspace"],
            &[&PROFILE[..], &TESTS].concat(),
        ))?;
        match tests.skipped {
            0 => println!(
                "check-cuda: everything builds; {} tests ran on this machine's GPU and passed",
                tests.passed
            ),
            skipped => {
                println!(
                    "check-cuda: everything builds and links; {skipped} tests skipped because there is no GPU (reasons above)"
                )
            }
        }
    } else {
        on_the_stand_in(workspace, target, environment)?;
    }
    println!("check-cuda: {}", minutes(started.elapsed().as_secs_f64()));
    Ok(())
}

fn on_the_stand_in(workspace: &Path, target: &Path, environment: &Environment) -> Result<()> {
    let stand_in = StandIn::build(workspace, target, environment)?;
    let started = Instant::now();
    let runner = stand_in.runner();
    let mut command = cargo_command(
        workspace,
        environment,
        &["test", "--workspace"],
        &[&PROFILE[..], &TESTS].concat(),
    );
    command.args(["--config", &runner]);
    stand_in.report_to(&mut command);
    let tests = run_tests(command)?;
    if tests.skipped > 0 {
        bail!(
            "{} tests skipped although there is a stand-in for a GPU: see their reasons above",
            tests.skipped
        );
    }
    println!("tests for devices: {}", minutes(started.elapsed().as_secs_f64()));

    let started = Instant::now();
    let run = target.join("check-pipeline");
    if run.exists() {
        std::fs::remove_dir_all(&run)
            .with_context(|| format!("could not remove {}", run.display()))?;
    }
    let pipeline = || {
        let mut command = Command::new(target.join("release/xtask"));
        command
            .args(["--device", "cuda", "pipeline", "--run"])
            .arg(&run)
            .args(SMALL.iter().flat_map(|setting| ["--set", *setting]));
        command
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .env("HDF5_USE_FILE_LOCKING", "FALSE");
        stand_in.put_before(&mut command);
        command
    };
    let refused = pipeline()
        .env("BRAINPRIOR_STANDIN_DRIVER", "12080")
        .output()
        .context("could not start the pipeline")?;
    let said = String::from_utf8_lossy(&refused.stderr);
    let is_clear = ["CUDA 12.8", "CUDA 13.0"].iter().all(|version| said.contains(version));
    if refused.status.success() || !is_clear {
        bail!("a driver for CUDA 12.8 should be refused with a clear message, but: {said}");
    }
    if !pipeline().status().context("could not start the pipeline")?.success()
        || !run.join("report.html").is_file()
    {
        bail!("the small pipeline failed on the stand-in for a GPU: see above");
    }
    println!("small pipeline: {}", minutes(started.elapsed().as_secs_f64()));

    let launched = stand_in.launched()?;
    if !launched.never.is_empty() {
        bail!(
            "kernels that were never launched: {}; cover each with a case in crates/kernels/tests/devices",
            launched.never.join(", ")
        );
    }
    println!(
        "check-cuda: everything builds and links; on a stand-in for a GPU {} tests ran and passed, none were skipped, and a small pipeline \
         finished: {} launches, all {} kernels of crates/kernels and {} of candle's, each in three orders of threads; an older \
         driver is refused",
        tests.passed, launched.times, launched.ours, launched.others
    );
    Ok(())
}

/// Numbers of tests that passed, and that only printed why they were skipped.
struct Tests {
    passed: usize,
    skipped: usize,
}

fn run_tests(mut command: Command) -> Result<Tests> {
    command.args(["--", "--nocapture"]);
    let mut child = command.stdout(Stdio::piped()).spawn().context("could not start cargo test")?;
    let mut tests = Tests { passed: 0, skipped: 0 };
    for line in
        std::io::BufReader::new(child.stdout.take().expect("standard output is piped")).lines()
    {
        let line = line.context("could not read what the tests print")?;
        tests.skipped += usize::from(line.contains("skipped, no CUDA device"));
        if let Some(passed) =
            line.strip_prefix("test result: ok. ").and_then(|rest| rest.split(' ').next())
        {
            tests.passed +=
                passed.parse::<usize>().with_context(|| format!("cargo test printed `{line}`"))?;
        }
        println!("{line}");
    }
    if !child.wait().context("could not wait for cargo test")?.success() {
        bail!("a test for devices failed: see above");
    }
    Ok(tests)
}
