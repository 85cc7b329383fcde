//! `cargo xtask check-cuda`.

use crate::bootstrap::{cargo_command, minutes};
use crate::cuda_build::PROFILE;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::io::BufRead;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// Compiles and links everything with the feature, then runs the tests for devices, which say where they skip and why.
///
/// # Errors
/// Whatever does not compile or link, a test that fails, or one that neither ran nor said why.
pub(crate) fn run(workspace: &Path, environment: &Environment) -> Result<()> {
    let started = Instant::now();
    let build = ["test", "--workspace", "--all-targets", "--no-run"];
    let status = cargo_command(workspace, environment, &build, &PROFILE).status().context("could not start cargo")?;
    if !status.success() {
        bail!("the workspace does not build with the feature cuda: see above");
    }
    println!("build of all targets: {}", minutes(started.elapsed().as_secs_f64()));
    let test = ["test", "--workspace", "--test", "devices"];
    let mut child = cargo_command(workspace, environment, &test, &[&PROFILE[..], &["--", "--nocapture"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start cargo test")?;
    let mut skipped = 0;
    for line in std::io::BufReader::new(child.stdout.take().expect("standard output is piped")).lines() {
        let line = line.context("could not read what the tests print")?;
        skipped += usize::from(line.contains("skipped, no CUDA device"));
        println!("{line}");
    }
    if !child.wait().context("could not wait for cargo test")?.success() {
        bail!("a test for devices failed: see above");
    }
    match skipped {
        0 => println!("check-cuda: everything builds; the tests ran on this machine's GPU and passed"),
        _ => println!("check-cuda: everything builds and links; {skipped} tests skipped, for want of a GPU (reasons above)"),
    }
    println!("check-cuda: {}", minutes(started.elapsed().as_secs_f64()));
    Ok(())
}
