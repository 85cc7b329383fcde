//! `--emit slurm`: a script that distributes a run over a cluster.

use crate::config::Config;
use crate::run::DeviceName;
use anyhow::{Context as _, Result};
use brainprior_artifact::replace;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::path::Path;

/// A batch system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSystem {
    /// A job for everything before the grid, array jobs with one task per condition and seed, and a
    /// job for everything after.
    Slurm,
}

/// Resources of a task.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// Number of threads, unless the batch system sets another.
    pub threads: usize,
    /// The device.
    pub device: DeviceName,
    /// Maximum number of concurrent tasks of the grid, if limited.
    pub at_once: Option<NonZeroU32>,
}

/// The script that distributes a run over `system`.
///
/// # Errors
/// Returns an error if the run directory cannot be created or written, or if a file of the
/// configuration does not exist.
pub fn script(
    system: BatchSystem,
    config: &Config,
    run: &Path,
    resources: Resources,
) -> Result<String> {
    match system {
        BatchSystem::Slurm => slurm(config, run, resources),
    }
}

/// Makes the script, which submits itself as jobs that depend on each other: everything up to the
/// similarities; training tasks, one per condition and seed; evaluation tasks (which transfer
/// perturbations between networks, so all must be trained); and the report. The script asks Slurm
/// for its limit on array sizes and splits the tasks accordingly. The resolved configuration is
/// first written to the run directory.
fn slurm(config: &Config, run: &Path, resources: Resources) -> Result<String> {
    let Resources { threads, device, at_once } = resources;
    std::fs::create_dir_all(run.join("slurm"))
        .with_context(|| format!("could not create {}", run.display()))?;
    let run = std::fs::canonicalize(run)
        .with_context(|| format!("could not resolve {}", run.display()))?;
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
    let tasks = training.conditions.len() as u64 * training.seeds;
    let limit = at_once.map(|at_once| format!("%{at_once}")).unwrap_or_default();
    let variables: String = std::env::vars()
        .filter(|(name, _)| {
            name.starts_with("MALLOC_")
                || ["RAYON_NUM_THREADS", "HDF5_USE_FILE_LOCKING"].contains(&name.as_str())
                || (device != DeviceName::Cpu && name == "LD_LIBRARY_PATH")
        })
        .map(|(name, value)| format!("export {name}={}\n", quoted(&value)))
        .collect();
    let device = if device == DeviceName::Cpu {
        String::new()
    } else {
        format!(" --device {}", device.name())
    };
    Ok(format!(
        r#"#!/bin/bash
# The run {name} on a cluster: `bash THIS_FILE` submits it; further options are passed to every sbatch,
# for example `bash THIS_FILE --partition=gpu --time=12:00:00`.
# Give the same command again to resume interrupted jobs; finished work is not repeated. A job that Slurm
# preempts, or whose node fails, is queued again by Slurm and resumes by itself.
set -euo pipefail
run={run}
{variables}pipeline() {{ {program} --threads "${{SLURM_CPUS_PER_TASK:-{threads}}}"{device} pipeline --config {settings} --run "$run" "$@"; }}
# Condition and seed of each task of the grid.
parts=(
{parts})

case "${{BRAINPRIOR_JOB:-submit}}" in
submit)
  here=$(realpath "$0")
  common=(--parsable --requeue --open-mode=append --cpus-per-task={threads} --export=ALL "$@")
  submitted=()
  complete=no
  # If a job is refused, the jobs submitted before it would wait or work for nothing.
  withdraw() {{
    if [ "$complete" = no ]; then
      if [ ${{#submitted[@]}} -eq 0 ]; then
        echo "nothing was submitted; see the error above" >&2
      elif scancel "${{submitted[@]}}"; then
        echo "not everything could be submitted (see the error above); the submitted jobs are canceled: ${{submitted[*]}}" >&2
      else
        echo "not everything could be submitted (see the error above); cancel these jobs by hand: scancel ${{submitted[*]}}" >&2
      fi
    fi
  }}
  trap withdraw EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Submits a job of kind $1 with these options and stores its number in `job`.
  submit() {{
    job=$(BRAINPRIOR_JOB=$1 BRAINPRIOR_FIRST=${{first:-0}} sbatch "${{common[@]}}" --job-name={job}-"$1" "${{@:2}}" "$here")
    job=${{job%%;*}}
    submitted+=("$job")
  }}
  # Slurm counts the tasks of an array from 0 and allows numbers below MaxArraySize: a larger grid is split into several arrays.
  largest=$(scontrol show config 2>/dev/null | awk '$1 == "MaxArraySize" {{ print $3 }}' || true)
  largest=${{largest:-1001}}
  tasks={tasks}
  if [ "$largest" -lt 1 ]; then
    echo "this Slurm accepts no array jobs (MaxArraySize is $largest): ask its administrator to allow them, or run without --emit" >&2
    exit 1
  fi
  # Submits the tasks of kind $1 after the jobs $2 and stores the numbers of their arrays in `jobs`, each after a colon.
  arrays() {{
    jobs=
    local after=afterok$2 first count
    for ((first = 0; first < tasks; first += largest)); do
      count=$((tasks - first < largest ? tasks - first : largest))
      submit "$1" --output="$run/slurm/$1-%A_%a.log" --array="0-$((count - 1)){limit}" --dependency="$after" --kill-on-invalid-dep=yes
      jobs+=:$job
{chained}    done
  }}
  submit inputs --output="$run/slurm/inputs-%j.log"
  inputs=$job
  arrays grid ":$inputs"
  grid=$jobs
  arrays measure "$grid"
  measure=$jobs
  submit report --output="$run/slurm/report-%j.log" --dependency="afterok$measure" --kill-on-invalid-dep=yes
  complete=yes
  grid=${{grid#:}} measure=${{measure#:}}
  echo "inputs $inputs, grid ${{grid//:/ }} and measure ${{measure//:/ }} (tasks 0 to $((tasks - 1))), report $job; logs in $run/slurm"
  ;;
inputs)
  for stage in scans images response similarity; do pipeline --only "$stage"; done
  ;;
grid | measure)
  task=$((BRAINPRIOR_FIRST + SLURM_ARRAY_TASK_ID))
  condition=${{parts[2 * task]}}
  seed=${{parts[2 * task + 1]}}
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
        // An array's limit does not cover the other arrays, so they run one after the other.
        chained = if limit.is_empty() { "" } else { "      after=afterok$2,afterany:$job\n" },
        stages = if training.common.snapshots { "train trade-off" } else { "train" },
    ))
}

/// Quotes one word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
