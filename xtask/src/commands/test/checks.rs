//! Format, tests, lints and documentation.

use super::TestArguments;
use crate::bootstrap::{PROFILE, cargo, cargo_command, minutes};
use crate::commands::python;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Instant;

/// Runs all checks one after the other, and the tests of the Python package if requested.
pub(crate) fn run(
    workspace: &Path,
    target: &Path,
    environment: &Environment,
    threads: Option<u16>,
    asked: TestArguments,
) -> Result<()> {
    let started = Instant::now();
    let mut environment = environment.clone();
    if let Some(threads) = threads {
        environment.push(("RAYON_NUM_THREADS", threads.to_string()));
    }
    cargo(workspace, &environment, &["fmt", "--all", "--check"], &[])?;
    cargo(
        workspace,
        &environment,
        &["fmt", "--check", "--manifest-path", "crates/python/Cargo.toml"],
        &[],
    )?;
    cargo(workspace, &environment, &["test", "--workspace", "--no-run"], &PROFILE)?;
    let built = started.elapsed().as_secs_f64();
    let tests = cargo_test(workspace, &environment)?;
    cargo(
        workspace,
        &environment,
        &["clippy", "--workspace", "--all-targets"],
        &[&PROFILE[..], &["--", "-D", "warnings"]].concat(),
    )?;
    environment.push(("RUSTDOCFLAGS", "-D warnings".into()));
    cargo(workspace, &environment, &["doc", "--workspace", "--no-deps"], &PROFILE)?;
    match asked.python || asked.torch {
        true => python::test(workspace, target, &environment, asked.torch)?,
        false => {
            println!("tests of the Python package: skipped; `cargo xtask test --python` runs them")
        }
    }
    let total = started.elapsed().as_secs_f64();
    println!("build of the tests: {}; everything: {}", minutes(built), minutes(total));
    println!("{} passed, {} failed", tests.passed, tests.failed);
    Ok(())
}

struct TestCount {
    passed: u32,
    failed: u32,
}

/// Runs the tests, forwards their output, and sums their counts.
fn cargo_test(workspace: &Path, environment: &Environment) -> Result<TestCount> {
    use std::io::BufRead;
    let mut child =
        cargo_command(workspace, environment, &["test", "--workspace", "--no-fail-fast"], &PROFILE)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .context("could not start cargo test")?;
    let mut count = TestCount { passed: 0, failed: 0 };
    let output = std::io::BufReader::new(child.stdout.take().expect("standard output is piped"));
    for line in output.lines() {
        let line = line.context("could not read what the tests print")?;
        println!("{line}");
        if let Some(summary) = line.strip_prefix("test result: ") {
            count.passed += number_before(summary, " passed");
            count.failed += number_before(summary, " failed");
        }
    }
    let status = child.wait().context("could not wait for cargo test")?;
    if !status.success() {
        println!("{} passed, {} failed", count.passed, count.failed);
        bail!("some tests failed: see above");
    }
    Ok(count)
}

fn number_before(summary: &str, word: &str) -> u32 {
    let Some(end) = summary.find(word) else { return 0 };
    let digits = summary[..end].rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}
