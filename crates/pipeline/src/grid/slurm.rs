//! `--emit slurm`: a script that spreads a run over a cluster.

use crate::config::Config;
use crate::run::DeviceName;
use anyhow::{Context as _, Result};
use brainprior_artifact::replace;
use std::fmt::Write;
use std::path::Path;

/// A batch system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSystem {
    /// A job for what comes before the grid, an array with a task for each condition and seed, a job for what comes after.
    Slurm,
}

/// The script that spreads a run over `system`.
///
/// # Errors
/// A run directory that cannot be made or written to; a file of the configuration that does not exist.
pub fn script(system: BatchSystem, config: &Config, run: &Path, threads: usize, device: DeviceName) -> Result<String> {
    match system {
        BatchSystem::Slurm => slurm(config, run, threads, device),
    }
}

/// The script. It submits itself four times, each job waiting for the one before: everything up to the similarities, an array
/// with one task for each condition and seed to train, another to measure (perturbations are tried on other networks, too, so that
/// all have to be there), the report. The resolved configuration is written to the run directory first.
fn slurm(config: &Config, run: &Path, threads: usize, device: DeviceName) -> Result<String> {
    std::fs::create_dir_all(run.join("slurm")).with_context(|| format!("could not create {}", run.display()))?;
    let run = std::fs::canonicalize(run).with_context(|| format!("could not resolve {}", run.display()))?;
    let settings = run.join("slurm/config.toml");
    let absolute = config.clone().with_absolute_paths()?;
    replace::bytes(&settings, absolute.to_toml()?.as_bytes())?;
    let program = std::env::current_exe().context("could not find this program")?;
    let training = &config.training;
    let mut parts = String::new();
    for seed in 0..training.seeds {
        for arm in &training.conditions {
            writeln!(parts, "  {} {seed}", quoted(arm.name()))?;
        }
    }
    let last = training.conditions.len() as u64 * training.seeds - 1;
    let variables: String = std::env::vars()
        .filter(|(name, _)| {
            name.starts_with("MALLOC_")
                || ["RAYON_NUM_THREADS", "HDF5_USE_FILE_LOCKING"].contains(&name.as_str())
                || (device != DeviceName::Cpu && name == "LD_LIBRARY_PATH")
        })
        .map(|(name, value)| format!("export {name}={}\n", quoted(&value)))
        .collect();
    let device = if device == DeviceName::Cpu { String::new() } else { format!(" --device {}", device.name()) };
    Ok(format!(
        r#"#!/bin/bash
# The run {name} on a cluster: `bash THIS_FILE` submits it; options given behind it go to every sbatch,
# for example `bash THIS_FILE --partition=gpu --time=12:00:00`.
# Interrupted jobs go on where they were when the same command is given again; what is done is not done twice.
set -euo pipefail
run={run}
{variables}pipeline() {{ {program} --threads "${{SLURM_CPUS_PER_TASK:-{threads}}}"{device} pipeline --config {settings} --run "$run" "$@"; }}
# Condition and seed of each task of the array.
parts=(
{parts})

case "${{BRAINPRIOR_JOB:-submit}}" in
submit)
  here=$(realpath "$0")
  common=(--parsable --cpus-per-task={threads} --export=ALL "$@")
  inputs=$(BRAINPRIOR_JOB=inputs sbatch "${{common[@]}}" --job-name={job}-inputs --output="$run/slurm/inputs-%j.log" "$here")
  grid=$(BRAINPRIOR_JOB=grid sbatch "${{common[@]}}" --job-name={job}-grid --output="$run/slurm/grid-%A_%a.log" \
    --array=0-{last} --dependency=afterok:"$inputs" --kill-on-invalid-dep=yes "$here")
  measure=$(BRAINPRIOR_JOB=measure sbatch "${{common[@]}}" --job-name={job}-measure --output="$run/slurm/measure-%A_%a.log" \
    --array=0-{last} --dependency=afterok:"$grid" --kill-on-invalid-dep=yes "$here")
  report=$(BRAINPRIOR_JOB=report sbatch "${{common[@]}}" --job-name={job}-report --output="$run/slurm/report-%j.log" \
    --dependency=afterok:"$measure" --kill-on-invalid-dep=yes "$here")
  echo "inputs $inputs, grid $grid and measure $measure (tasks 0 to {last}), report $report; logs in $run/slurm"
  ;;
inputs)
  for stage in scans images response similarity; do pipeline --only "$stage"; done
  ;;
grid | measure)
  condition=${{parts[2 * SLURM_ARRAY_TASK_ID]}}
  seed=${{parts[2 * SLURM_ARRAY_TASK_ID + 1]}}
  if [ "$BRAINPRIOR_JOB" = grid ]; then stages="{stages}"; else stages=robustness; fi
  for stage in $stages; do pipeline --only "$stage" --condition "$condition" --seed "$seed"; done
  ;;
report)
  pipeline
  ;;
esac
"#,
        name = config.name,
        run = quoted(&run.display().to_string()),
        program = quoted(&program.display().to_string()),
        settings = quoted(&settings.display().to_string()),
        job = quoted(&config.name),
        stages = if training.common.snapshots { "train trade-off" } else { "train" },
    ))
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
