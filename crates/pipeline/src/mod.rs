//! The heavy half: runs what was asked for.

mod adversarial;
mod bench;
mod compare;
mod conditions;
mod config;
mod context;
mod device;
mod files;
mod jobs;
mod overrides;
mod progress;
mod provenance;
mod report;
mod results;
mod run_directory;
mod similarities;
mod slurm;
mod stages;
mod table;

use crate::command_line::{Arguments, BatchSystem, Command, DeviceName, PipelineArguments};
use anyhow::{Context as _, Result, bail};
use config::Config;
use context::{Context, Selection};
use progress::Terminal;
use provenance::Record;
use run_directory::{Mode, RunDirectory};
use std::path::PathBuf;
use std::time::Instant;

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<()> {
    // Every failed call of HDF5 becomes an error of ours; its own stack traces would only hide that.
    hdf5::silence_errors(true);
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.map_or_else(available, usize::from);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("could not start worker threads")?;
    match arguments.command {
        Command::Bench(bench) => bench::run(&bench, device::open(arguments.device)?),
        Command::Pipeline(pipeline) => run_pipeline(&pipeline, arguments.device, threads),
        Command::Attack(attack) => adversarial::run(&attack, &device::open(arguments.device)?),
        Command::Compare(arguments) => {
            print!("{}", compare::compare_files(&arguments.first, &arguments.second)?);
            Ok(())
        }
        Command::Similarity(similarity) => similarities::run(&similarity, &device::open(arguments.device)?),
        Command::Validate(argument) => {
            println!("{}", files::validate(&argument.file)?);
            Ok(())
        }
        Command::Inspect(argument) => {
            print!("{}", files::inspect(&argument.file)?);
            Ok(())
        }
        Command::Test | Command::CheckCuda => bail!("this belongs to the light half; run it with `cargo xtask`"),
    }
}

fn run_pipeline(arguments: &PipelineArguments, device: DeviceName, threads: usize) -> Result<()> {
    let config = Config::load(arguments.config.as_deref(), &arguments.overrides)?;
    let mode = match (&arguments.only, arguments.dry_run) {
        (_, true) => Mode::Dry,
        (None, false) => Mode::Run,
        (Some(stage), false) if stages::NAMES.contains(&stage.as_str()) => Mode::Only(stage.clone()),
        (Some(stage), false) => bail!("--only {stage}: no such stage; the stages are {}", stages::NAMES.join(", ")),
    };
    let root = arguments.run.clone().unwrap_or_else(|| PathBuf::from("runs").join(&config.name));
    if let Some(BatchSystem::Slurm) = arguments.emit {
        print!("{}", slurm::script(&config, &root, threads, device)?);
        return Ok(());
    }
    let device = device::open(device)?;
    let run = RunDirectory::open(&root, mode.clone())?;
    if mode != Mode::Dry {
        provenance::write_atomically(&root.join("config.toml"), config.to_toml()?.as_bytes())?;
        log_to(&root)?;
    }
    let terminal = Terminal::new();
    terminal.line(&format!("run {} in {}", config.name, root.display()));
    let selection = Selection { condition: arguments.condition.clone(), seed: arguments.seed };
    let context = Context { config, run, terminal, selection, device };
    stages::train::check_selection(&context)?;
    let started = Instant::now();
    let summary = chain(&context, &mode)?;
    context.terminal.line(&format!("run: {:.1} s", started.elapsed().as_secs_f64()));
    if let Some((report, conditions)) = summary {
        println!("\n{}", table::conditions(&conditions));
        println!("report:  {}", report.display());
        println!("figures: {}", root.join("results.json").display());
    }
    Ok(())
}

/// Events of the libraries and stages, one JSON object a line, appended over the runs of one directory.
fn log_to(root: &std::path::Path) -> Result<()> {
    let path = root.join("log.jsonl");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("could not open {}", path.display()))?;
    let subscriber =
        tracing_subscriber::fmt().json().with_writer(std::sync::Mutex::new(file)).with_max_level(tracing::Level::INFO).finish();
    tracing::subscriber::set_global_default(subscriber).context("a log is written already")
}

type Summary = (PathBuf, Vec<results::ConditionSummary>);

/// Runs the stages in order, up to the one that was asked for. Nothing is returned where the report was not made.
fn chain(context: &Context, mode: &Mode) -> Result<Option<Summary>> {
    let stop_after = |stage: &str| matches!(mode, Mode::Only(only) if only == stage);
    let mut records: Vec<Record> = Vec::new();
    let Some(scans) = stages::scans::run(context)? else { return dry(context, 1) };
    records.push(scans.clone());
    if stop_after("scans") {
        return Ok(None);
    }
    let Some(images) = stages::images::run(context)? else { return dry(context, 2) };
    records.push(images.clone());
    if stop_after("images") {
        return Ok(None);
    }
    let Some(response) = stages::response::run(context, &scans)? else { return dry(context, 3) };
    records.push(response.clone());
    if stop_after("response") {
        return Ok(None);
    }
    let Some(similarity) = stages::similarity::run(context, &scans, &response)? else { return dry(context, 4) };
    records.push(similarity.clone());
    if stop_after("similarity") {
        return Ok(None);
    }
    let mut trained = Vec::new();
    let inputs = stages::train::Inputs { scans: &scans, images: &images, similarity: &similarity };
    for (part, record) in stages::train::run(context, inputs)? {
        let Some(record) = record else { continue };
        records.push(record.clone());
        trained.push((part, record));
    }
    if stop_after("train") {
        return Ok(None);
    }
    // No later stage but the report reads it.
    let wanted = match mode {
        Mode::Only(only) => only == "trade-off",
        Mode::Run | Mode::Dry => true,
    };
    if context.config.training.snapshots && wanted {
        records.extend(stages::trade_off::run(context, &images, &trained)?.into_iter().flatten());
        if *mode != Mode::Dry && context.selection.is_all() {
            stages::trade_off::summarise(context)?;
        }
    }
    if stop_after("trade-off") {
        return Ok(None);
    }
    let grid = if context.selection.is_all() { trained.clone() } else { stages::train::finished(context, inputs)? };
    let measured = stages::robustness::run(context, &images, &trained, &grid)?;
    let complete = measured.len() == stages::train::Part::selected(context).len() && measured.iter().all(Option::is_some);
    records.extend(measured.into_iter().flatten());
    if !complete {
        return dry(context, 7);
    }
    if *mode == Mode::Dry || stop_after("robustness") || !context.selection.is_all() {
        return Ok(None);
    }
    stages::report::run(context, &records).map(Some)
}

/// Names the stages from `next` on, whose inputs a dry run cannot know.
fn dry(context: &Context, next: usize) -> Result<Option<Summary>> {
    for stage in &stages::NAMES[next..] {
        context.terminal.would_run(stage);
    }
    Ok(None)
}
