//! `cargo xtask pipeline`.

use crate::command_line::Precision;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct PipelineArguments {
    /// Configuration (TOML) [default: the embedded xtask/configs/default.toml, which lists every
    /// setting and needs no files]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting; the value is TOML, and a bare word is a string. May be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Precision of training for response models and networks: the settings training.precision and
    /// response.optimization.precision
    #[arg(long, value_enum)]
    pub(crate) precision: Option<Precision>,
    /// Run directory [default: runs/ plus the name of the configuration]
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Run only this stage (its inputs must exist already): scans, images, response, similarity,
    /// train, trade-off, robustness or report
    #[arg(long, value_name = "STAGE")]
    pub(crate) only: Option<String>,
    /// Train and evaluate only this condition (by its name in the results); with --only its inputs
    /// must exist already
    #[arg(long, value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Train and evaluate only this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Print a script that distributes the run over a batch system, and stop
    #[arg(long, value_name = "SYSTEM", value_enum)]
    pub(crate) emit: Option<BatchSystem>,
    /// With --emit: run at most N tasks of the grid at once (Slurm's `%N`), for shared queues
    /// [default: no limit]
    #[arg(long, value_name = "N", requires = "emit")]
    pub(crate) at_once: Option<std::num::NonZeroU32>,
    /// Report which stages would run and which are finished, then stop
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum BatchSystem {
    /// A job for everything before the grid, array jobs with one task per condition and seed (split
    /// by MaxArraySize), and a job for everything after. Preempted tasks resume by themselves; if
    /// one job is refused, the earlier ones are canceled
    Slurm,
}

/// Runs the stages, or prints the script that does.
#[cfg(feature = "pipeline")]
pub(crate) fn run(
    arguments: PipelineArguments,
    device: brainprior_pipeline::run::DeviceName,
    threads: usize,
) -> anyhow::Result<()> {
    use brainprior_pipeline::run::{Context, Mode, Progress, RunOptions, Selection};
    use brainprior_pipeline::{config::Config, grid, stages};
    let mut overrides = arguments.overrides;
    if let Some(precision) = arguments.precision.map(brainprior_pipeline::Precision::from) {
        for key in ["training.precision", "response.optimization.precision"] {
            let set = overrides
                .iter()
                .filter_map(|item| item.split_once('='))
                .filter(|(set, _)| set.trim() == key);
            for (_, value) in set {
                let value = value.trim().trim_matches('"');
                anyhow::ensure!(
                    value == precision.name(),
                    "--precision {} and --set {key}={value} contradict each other; leave one of them out",
                    precision.name()
                );
            }
            overrides.push(format!("{key}={}", precision.name()));
        }
    }
    let config = Config::load(arguments.config.as_deref(), &overrides)?;
    let mode = stages::mode(arguments.only.as_deref(), arguments.dry_run)?;
    let root = arguments.run.unwrap_or_else(|| PathBuf::from("runs").join(config.name()));
    if let Some(BatchSystem::Slurm) = arguments.emit {
        let resources = grid::Resources { threads, device, at_once: arguments.at_once };
        print!("{}", grid::script(grid::BatchSystem::Slurm, &config, &root, resources)?);
        return Ok(());
    }
    let terminal = crate::terminal::Terminal::new();
    let opened = format!("run {} in {}", config.name(), root.display());
    let selection = Selection { condition: arguments.condition, seed: arguments.seed };
    let writes = mode != Mode::Dry;
    let progress = Box::new(terminal.clone());
    let options = RunOptions { mode, selection, device: device.open()?, commit: crate::COMMIT };
    let context = Context::open(config, &root, options, progress)?;
    crate::terminal::listen(writes.then(|| root.join("log.jsonl")).as_deref())?;
    terminal.line(&opened);
    let started = std::time::Instant::now();
    let finished = stages::run(&context)?;
    terminal.line(&format!("run: {:.1} s", started.elapsed().as_secs_f64()));
    if let Some(finished) = finished {
        println!("\n{}", finished.table);
        println!("report:  {}", finished.report.display());
        println!("figures: {}", finished.figures.display());
    }
    Ok(())
}
