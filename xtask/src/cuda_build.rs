//! Builds for CUDA: the toolkit, a target folder of their own, and the check that a machine without a GPU can make.

use crate::bootstrap::{cargo_command, minutes};
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The flags of every call, as without a device but for the feature.
pub const PROFILE: [&str; 3] = ["--release", "--features", "xtask/cuda"];

/// What the toolkit's script sets.
const SET: [&str; 8] =
    ["CUDA_HOME", "CUDA_PATH", "CUDA_COMPUTE_CAP", "CUDAFORGE_THREADS", "NVCC", "PATH", "LIBRARY_PATH", "LD_LIBRARY_PATH"];

/// Where everything is compiled to, apart from builds without a device: the feature changes what candle is.
pub fn target_folder(target: &Path) -> PathBuf {
    target.join("cuda")
}

/// Finds or installs the toolkit; the environment of builds and of what they make.
///
/// # Errors
/// What the script could not do, in its own words on standard error.
pub fn environment(workspace: &Path, target: &Path, environment: &Environment) -> Result<Environment> {
    let target = target_folder(target);
    let script = workspace.join("xtask/cuda-toolkit.sh");
    let print: String = SET.iter().map(|name| format!("printf '%s\\n' \"{name}=${name}\"; ")).collect();
    let output = Command::new("bash")
        .args(["-c", &format!("set -e; settings=$(bash \"$0\"); eval \"$settings\"; {print}")])
        .arg(&script)
        .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
        .env("CUDA_PREFIX", std::env::var_os("CUDA_PREFIX").unwrap_or_else(|| target.join("toolkit").into()))
        .stderr(Stdio::inherit())
        .output()
        .context("could not start bash, which the CUDA toolkit's script needs")?;
    if !output.status.success() {
        bail!("{} could not install the CUDA toolkit; see its message above", script.display());
    }
    let text = String::from_utf8(output.stdout).context("the toolkit's settings are not UTF-8")?;
    let mut found = environment.clone();
    for line in text.lines() {
        let (name, value) = line.split_once('=').with_context(|| format!("the toolkit's script printed `{line}`"))?;
        let name = SET.into_iter().find(|known| *known == name).with_context(|| format!("the script set `{name}`"))?;
        found.push((name, value.to_owned()));
    }
    found.push(("CARGO_TARGET_DIR", target.to_string_lossy().into_owned()));
    Ok(found)
}

/// Compiles and links everything with the feature, then runs the tests for devices, which say where they skip and why.
///
/// # Errors
/// Whatever does not compile or link, a test that fails, or one that neither ran nor said why.
pub fn check(workspace: &Path, environment: &Environment) -> Result<()> {
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
