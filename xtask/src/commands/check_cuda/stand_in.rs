//! The stand-in for a GPU, `crates/kernels/tests/devices/standin`: a library that replaces NVIDIA's
//! when programs load it first.

use crate::bootstrap::cargo_command;
use crate::cuda_build::PROFILE;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Environment variable with the file into which each program writes its kernels and their launch
/// counts.
const REPORT: &str = "BRAINPRIOR_STANDIN_REPORT";

pub(super) struct StandIn {
    library: PathBuf,
    report: PathBuf,
    /// Names of the sources in `crates/kernels/kernels`.
    ours: Vec<String>,
}

/// Launches of all programs.
pub(super) struct Launched {
    pub(super) times: u64,
    /// Number of kernels of `crates/kernels`, and those never launched.
    pub(super) ours: usize,
    pub(super) never: Vec<String>,
    /// Number of other kernels launched.
    pub(super) others: usize,
}

impl StandIn {
    /// Compiles the library, and for it the kernels of `crates/kernels` and candle.
    pub(super) fn build(
        workspace: &Path,
        target: &Path,
        environment: &Environment,
    ) -> Result<Self> {
        let out = target.join("standin");
        let kernels = workspace.join("crates/kernels/kernels");
        let script = workspace.join("crates/kernels/tests/devices/standin/build.sh");
        let status = Command::new("bash")
            .arg(&script)
            .arg(&out)
            .args([&kernels, &sources_of_candle(workspace, environment)?])
            .status()
            .context("could not start bash, which builds the stand-in for a GPU")?;
        if !status.success() {
            bail!("{} could not build the stand-in for a GPU: see above", script.display());
        }
        let report = out.join("launches");
        std::fs::write(&report, "")
            .with_context(|| format!("could not write {}", report.display()))?;
        let mut ours = Vec::new();
        for entry in std::fs::read_dir(&kernels)
            .with_context(|| format!("could not list {}", kernels.display()))?
        {
            let path =
                entry.with_context(|| format!("could not list {}", kernels.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "cu") {
                ours.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        Ok(Self { library: out.join("libstandin.so"), report, ours })
    }

    /// A cargo setting that makes tests, and nothing else, load the library first.
    pub(super) fn runner(&self) -> String {
        format!(
            "target.'cfg(target_os = \"linux\")'.runner = ['env', 'LD_PRELOAD={}']",
            self.library.display()
        )
    }

    pub(super) fn report_to(&self, command: &mut Command) {
        command.env(REPORT, &self.report);
    }

    /// Makes a program load the library first.
    pub(super) fn put_before(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        self.report_to(command);
    }

    pub(super) fn launched(&self) -> Result<Launched> {
        let text = std::fs::read_to_string(&self.report)
            .with_context(|| format!("could not read {}", self.report.display()))?;
        let mut kernels: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for line in text.lines() {
            let [source, kernel, times] = line.split(' ').collect::<Vec<_>>()[..] else {
                bail!(
                    "{}: expected source, kernel and count, found `{line}`",
                    self.report.display()
                );
            };
            *kernels.entry((source, kernel)).or_default() +=
                times.parse::<u64>().with_context(|| format!("`{line}`"))?;
        }
        let (ours, others): (Vec<_>, Vec<_>) = kernels
            .iter()
            .partition(|((source, _), _)| self.ours.iter().any(|name| name == source));
        Ok(Launched {
            times: kernels.values().sum(),
            ours: ours.len(),
            never: ours
                .iter()
                .filter(|(_, times)| **times == 0)
                .map(|((_, kernel), _)| (*kernel).to_owned())
                .collect(),
            others: others.iter().filter(|(_, times)| **times > 0).count(),
        })
    }
}

/// Folder with the sources of candle's kernels.
fn sources_of_candle(workspace: &Path, environment: &Environment) -> Result<PathBuf> {
    let output = cargo_command(
        workspace,
        environment,
        &["metadata", "--format-version", "1", "--locked"],
        &PROFILE[1..],
    )
    .output()
    .context("could not start cargo metadata")?;
    let text =
        String::from_utf8(output.stdout).context("the output of cargo metadata is not UTF-8")?;
    text.split("\"manifest_path\":\"")
        .filter_map(|rest| Path::new(rest.split('"').next()?).parent())
        .find(|folder| {
            folder
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("candle-kernels"))
        })
        .map(|folder| folder.join("src"))
        .context("cargo metadata lists no package candle-kernels")
}
