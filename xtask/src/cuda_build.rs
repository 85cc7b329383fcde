//! CUDA builds: the toolkit, their own target folder, and the check for machines without a GPU.

use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The flags of every CUDA build: those of CPU builds with another feature.
pub(crate) const PROFILE: [&str; 3] = ["--release", "--features", "xtask/cuda"];

/// Variables set by the toolkit script.
const SET: [&str; 8] = [
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_COMPUTE_CAP",
    "CUDAFORGE_THREADS",
    "NVCC",
    "PATH",
    "LIBRARY_PATH",
    "LD_LIBRARY_PATH",
];

/// Target folder of CUDA builds, separate because the feature changes candle.
pub(crate) fn target_folder(target: &Path) -> PathBuf {
    target.join("cuda")
}

/// Whether a CUDA build exists.
pub(crate) fn is_there(target: &Path) -> bool {
    target_folder(target).join("release/xtask").is_file()
}

/// Finds or installs the toolkit; returns the environment for building and running.
///
/// # Errors
/// Returns an error if the script fails; its message is on standard error.
pub(crate) fn environment(
    workspace: &Path,
    target: &Path,
    environment: &Environment,
) -> Result<Environment> {
    let target = target_folder(target);
    let script = workspace.join("xtask/cuda-toolkit.sh");
    let print: String =
        SET.iter().map(|name| format!("printf '%s\\n' \"{name}=${name}\"; ")).collect();
    let output = Command::new("bash")
        .args(["-c", &format!("set -e; settings=$(bash \"$0\"); eval \"$settings\"; {print}")])
        .arg(&script)
        .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
        .env(
            "CUDA_PREFIX",
            std::env::var_os("CUDA_PREFIX").unwrap_or_else(|| target.join("toolkit").into()),
        )
        .stderr(Stdio::inherit())
        .output()
        .context("could not start bash, which the CUDA toolkit's script needs")?;
    if !output.status.success() {
        bail!("{} could not install the CUDA toolkit; see its message above", script.display());
    }
    let text = String::from_utf8(output.stdout).context("the toolkit's settings are not UTF-8")?;
    let mut found = environment.clone();
    for line in text.lines() {
        let (name, value) = line
            .split_once('=')
            .with_context(|| format!("the toolkit's script printed `{line}`"))?;
        let name = SET
            .into_iter()
            .find(|known| *known == name)
            .with_context(|| format!("the script set `{name}`"))?;
        found.push((name, value.to_owned()));
    }
    found.push(("CARGO_TARGET_DIR", target.to_string_lossy().into_owned()));
    Ok(found)
}
