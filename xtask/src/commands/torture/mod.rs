//! `cargo xtask torture`: checks that a run ends with the same bytes in spite of faults.

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
Makes a short run (simulated scans, a fit, similarities, two trainings, attacks, a report) undisturbed, then again and again \
while it is killed, its disk fills up, or locks are refused. After each fault it gives the same command once more, as a user would, and \
checks that every file has the bytes of the undisturbed run (apart from times) and that no other file is left.

Examples:
  cargo xtask torture
      every fault at least once, then kills, for five minutes on the disk for temporary files
  cargo xtask --threads 1 torture --minutes 60 --kills 300 --folder /scratch/me
      at most an hour or 300 kills, on the file system for your runs
  cargo xtask torture --fault full-disk --fault no-locks --minutes 1 --seed 3
      only these faults, at the moments of seed 3

A full disk and a read-only folder need a small disk of their own (`mount -t tmpfs`), which on Linux only root can mount; refused locks and \
the clock need a C compiler. The table says if these are missing. The system itself is not changed: only the runs see the \
other clock.")]
pub(crate) struct TortureArguments {
    /// Duration in minutes; every fault occurs at least once
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) minutes: u64,
    /// Stop earlier, after this many processes were killed (SIGKILL)
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u64>,
    /// Seed for the moments of faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Folder of the runs, on the disk to be tested; a run that ended differently is kept there
    /// [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Only this fault. May be repeated [default: all]
    #[arg(long = "fault", value_name = "FAULT", value_enum)]
    pub(crate) faults: Vec<Fault>,
}

/// A fault inflicted on a run.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL at random moments until the run finishes
    Kill,
    /// SIGTERM at random moments, as from a batch system or `timeout`
    Terminate,
    /// Three processes in one run directory, two of which are killed
    Several,
    /// The disk is full, then has space again
    FullDisk,
    /// The run directory is read-only, then writable again
    ReadOnly,
    /// The clock is set back two days between two runs
    Clock,
    /// A finished file is changed while a later stage runs
    ChangedFile,
    /// The file system has no locks (`flock` returns ENOLCK, ENOSYS and EOPNOTSUPP in turn)
    NoLocks,
    /// `flock` fails (EIO)
    BrokenLocks,
}

/// Inflicts the faults and prints the table.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &TortureArguments, threads: usize) -> anyhow::Result<()> {
    use anyhow::{Context, ensure};
    use std::time::{Duration, Instant};
    let root = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = root.join(format!("torture-{}", std::process::id()));
    // A folder that is missing may be a disk that is not mounted.
    std::fs::create_dir(&folder).with_context(|| {
        format!("could not create {}; the folder given as --folder must exist", folder.display())
    })?;
    let started = Instant::now();
    let mut bench = faults::Bench::new(&folder, threads, arguments.seed)?;
    let chosen = if arguments.faults.is_empty() {
        Fault::value_variants().to_vec()
    } else {
        arguments.faults.clone()
    };
    let mut table = table::Table::new(&chosen);
    let over = |table: &table::Table| {
        started.elapsed() >= Duration::from_secs(60 * arguments.minutes)
            || arguments.kills.is_some_and(|kills| table.kills() >= kills)
    };
    for round in 0.. {
        // Each fault once, then mostly kills, with another fault every tenth time.
        let fault = match chosen.get(round) {
            Some(fault) => *fault,
            None if over(&table) => break,
            None if chosen.contains(&Fault::Kill) && round % 10 != 9 => Fault::Kill,
            None => chosen[(round / 10 + round) % chosen.len()],
        };
        let outcome = bench.suffer(fault, round)?;
        eprintln!(
            "{:6.0} s  {:<12} {}",
            started.elapsed().as_secs_f64(),
            name(fault),
            outcome.in_short()
        );
        table.add(fault, outcome);
    }
    println!("\n{table}");
    println!(
        "{} processes were killed in {:.1} minutes; seed {}",
        table.kills(),
        started.elapsed().as_secs_f64() / 60.0,
        arguments.seed
    );
    ensure!(
        table.is_good(),
        "some runs did not end like the undisturbed one; they are in {}",
        folder.display()
    );
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("could not remove {}", folder.display()))
}

/// Name on the command line.
#[cfg(feature = "pipeline")]
fn name(fault: Fault) -> String {
    fault.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
