//! `cargo xtask torture`: whether a run comes to its bytes whatever befalls it on the way.

#[cfg(feature = "pipeline")]
mod contents;
#[cfg(feature = "pipeline")]
mod disk;
#[cfg(feature = "pipeline")]
mod faults;
#[cfg(feature = "pipeline")]
mod moments;
#[cfg(feature = "pipeline")]
mod pipeline;
#[cfg(feature = "pipeline")]
mod table;

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
A run of seconds (simulated scans, a fit, similarities, two trainings, attacks, a report) is made undisturbed, then again and again \
while it is killed, or its disk fills up, or locks are refused. Each time the same command is given once more, as a person would, and \
every file has to come out with the bytes of the undisturbed run (times aside), with no other file beside them.

Examples:
  cargo xtask torture
      every fault at least once, then kills, for five minutes on the disk for temporary files
  cargo xtask --threads 1 torture --minutes 60 --kills 300 --folder /scratch/me
      at most an hour or 300 kills, on the file system that your runs will lie on
  cargo xtask torture --fault full-disk --fault no-locks --minutes 1 --seed 3
      these alone, at the moments of seed 3

A full disk and a read-only folder need a small disk of their own (`mount -t tmpfs`), which Linux lends to root alone; refused locks and \
the clock need a C compiler. Where that is missing, the table says so. Nothing of the system is changed: the clock is another for the \
runs alone.")]
pub(crate) struct TortureArguments {
    /// How long to go on; every fault comes at least once
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) minutes: u64,
    /// End earlier, after this many processes were killed (SIGKILL)
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u64>,
    /// Of the moments at which faults come
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where the runs are made, so that it is the disk of your choice that is tried; a run that ended otherwise stays there
    /// [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// This fault alone. May be repeated [default: all]
    #[arg(long = "fault", value_name = "FAULT", value_enum)]
    pub(crate) faults: Vec<Fault>,
}

/// What befalls a run.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL at random moments, until the run is through
    Kill,
    /// SIGTERM at random moments, as from a batch system or `timeout`
    Terminate,
    /// Three processes in one run directory, of which two are killed
    Several,
    /// The disk is full; then there is room again
    FullDisk,
    /// The run directory cannot be written to; then it can
    ReadOnly,
    /// The clock is set two days back between two runs
    Clock,
    /// A finished file is changed while a later stage runs
    ChangedFile,
    /// The file system has no locks (`flock` says ENOLCK, ENOSYS or EOPNOTSUPP in turn)
    NoLocks,
    /// `flock` fails (EIO)
    BrokenLocks,
}

/// Tortures, and prints the table of faults.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &TortureArguments, threads: usize) -> anyhow::Result<()> {
    use anyhow::{Context, ensure};
    use std::time::{Duration, Instant};
    let root = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = root.join(format!("torture-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
    let started = Instant::now();
    let mut bench = faults::Bench::new(&folder, threads, arguments.seed)?;
    let chosen = if arguments.faults.is_empty() { Fault::value_variants().to_vec() } else { arguments.faults.clone() };
    let mut table = table::Table::new(&chosen);
    let over = |table: &table::Table| {
        started.elapsed() >= Duration::from_secs(60 * arguments.minutes)
            || arguments.kills.is_some_and(|kills| table.kills() >= kills)
    };
    for round in 0.. {
        // Once through all, then kills, and every tenth time another.
        let fault = match chosen.get(round) {
            Some(fault) => *fault,
            None if over(&table) => break,
            None if chosen.contains(&Fault::Kill) && round % 10 != 9 => Fault::Kill,
            None => chosen[(round / 10 + round) % chosen.len()],
        };
        let outcome = bench.suffer(fault, round)?;
        eprintln!("{:6.0} s  {:<12} {}", started.elapsed().as_secs_f64(), name(fault), outcome.in_short());
        table.add(fault, outcome);
    }
    println!("\n{table}");
    println!(
        "{} processes were killed in {:.1} minutes; seed {}",
        table.kills(),
        started.elapsed().as_secs_f64() / 60.0,
        arguments.seed
    );
    ensure!(table.is_good(), "some runs did not end as the undisturbed one: they lie in {}", folder.display());
    std::fs::remove_dir_all(&folder).with_context(|| format!("could not remove {}", folder.display()))
}

/// As it is typed.
#[cfg(feature = "pipeline")]
fn name(fault: Fault) -> String {
    fault.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
