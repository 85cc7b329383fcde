//! The faults inflicted on a run.

use super::contents::Contents;
use super::disk::Disk;
use super::moments::Moments;
use super::pipeline::{Disguise, Pipeline, Process};
use super::table::Outcome;
use super::{Fault, name};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const STAND_IN: &str = include_str!("stand_in.c");

/// Error numbers on Linux of a file system without locks: ENOLCK, ENOSYS and EOPNOTSUPP.
const WITHOUT_LOCKS: [&str; 3] = ["37", "38", "95"];
/// EIO on Linux.
const BROKEN: &str = "5";
/// Two days in seconds.
const BACK: &str = "172800";
/// Maximum kills per run; then it is left alone.
const MOST: u64 = 12;

/// The undisturbed run, and the means to disturb others.
pub(super) struct Bench {
    folder: PathBuf,
    pipeline: Pipeline,
    whole: Contents,
    /// Duration of the undisturbed run.
    time: Duration,
    /// The preloaded library, or why there is none.
    library: Result<PathBuf, String>,
    moments: Moments,
}

impl Bench {
    /// Makes the undisturbed run twice: a difference between the two would look like damage.
    pub(super) fn new(folder: &Path, threads: usize, seed: u64) -> Result<Self> {
        let pipeline = Pipeline::new(threads)?;
        let mut runs = Vec::new();
        let mut time = Duration::MAX;
        for name in ["whole", "again"] {
            let run = folder.join(name);
            let started = Instant::now();
            let ended = pipeline.run(&run, Disguise::default())?;
            ensure!(ended.succeeded, "the undisturbed run failed: {}", ended.said);
            time = time.min(started.elapsed());
            runs.push(Contents::of(&run)?);
            fs::remove_dir_all(&run)?;
        }
        let whole = runs.swap_remove(0);
        if let Some(difference) = whole.difference(&runs[0]) {
            anyhow::bail!("two undisturbed runs differ: {difference}");
        }
        eprintln!(
            "the undisturbed run took {:.1} s and {:.1} MB",
            time.as_secs_f64(),
            whole.bytes() as f64 / 1e6
        );
        let library = compile(folder).map_err(|error| format!("{error:#}"));
        Ok(Self {
            folder: folder.to_owned(),
            pipeline,
            whole,
            time,
            library,
            moments: Moments::new(seed),
        })
    }

    /// Inflicts a fault on a new run and then lets it finish.
    pub(super) fn suffer(&mut self, fault: Fault, round: usize) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let needs_library = matches!(fault, Fault::Clock | Fault::NoLocks | Fault::BrokenLocks);
        if let (true, Err(reason)) = (needs_library, &self.library) {
            outcome.not_tried = Some(reason.clone());
            return Ok(outcome);
        }
        let place = self.folder.join(format!("{round}-{}", name(fault)));
        let run = place.join("run");
        let disk = match fault {
            Fault::FullDisk | Fault::ReadOnly => {
                // Temporary files need space in addition to the final ones.
                let share =
                    if fault == Fault::FullDisk { 0.02 + 0.9 * self.moments.share() } else { 4.0 };
                match Disk::mount(&place, (share * self.whole.bytes() as f64) as u64) {
                    Ok(disk) => Some(disk),
                    Err(reason) => {
                        outcome.not_tried = Some(format!("{reason:#}"));
                        return Ok(outcome);
                    }
                }
            }
            _ => None,
        };
        match (fault, &disk) {
            (Fault::FullDisk, Some(disk)) => {
                self.fails(&run, "No space left on device", Disguise::default(), &mut outcome)?;
                disk.resize(8 * self.whole.bytes())?;
            }
            (Fault::ReadOnly, Some(disk)) => {
                let process = self.start(&run, Disguise::default())?;
                self.kill(process, &mut outcome)?;
                disk.make_read_only()?;
                self.fails(&run, "Read-only file system", Disguise::default(), &mut outcome)?;
                disk.make_writable()?;
            }
            (Fault::Terminate, _) => self.terminate(&run, &mut outcome)?,
            (Fault::Several, _) => self.several(&run, &mut outcome)?,
            (Fault::ChangedFile, _) => self.change_a_file(&run, &mut outcome)?,
            (Fault::Clock, _) => {
                let process = self.start(&run, Disguise::default())?;
                self.kill(process, &mut outcome)?;
                self.kill_until_through(&run, ("CLOCK_BACK", BACK), 2, &mut outcome)?;
            }
            (Fault::NoLocks, _) => {
                let errno = WITHOUT_LOCKS[self.moments.below(WITHOUT_LOCKS.len())];
                self.kill_until_through(&run, ("FLOCK_ERRNO", errno), 1, &mut outcome)?;
            }
            (Fault::BrokenLocks, _) => {
                let library = self.library.clone().ok();
                let disguise = Disguise {
                    library: library.as_deref(),
                    variable: Some(("FLOCK_ERRNO", BROKEN)),
                };
                self.fails(&run, "could not lock", disguise, &mut outcome)?;
            }
            _ => self.kill_until_through(&run, ("", ""), MOST, &mut outcome)?,
        }
        self.goes_on(&run, &mut outcome)?;
        if outcome.wrong.is_empty() {
            fs::remove_dir_all(&run)
                .with_context(|| format!("could not remove {}", run.display()))?;
            drop(disk);
            fs::remove_dir_all(&place)
                .with_context(|| format!("could not remove {}", place.display()))?;
        }
        Ok(outcome)
    }

    fn start(&self, run: &Path, disguise: Disguise<'_>) -> Result<Process> {
        self.pipeline.start(run, disguise)
    }

    /// A moment during a run; early ones are likelier, so that a run is hit often before it
    /// finishes.
    fn moment(&mut self) -> Duration {
        let share = self.moments.share();
        self.time.mul_f64(0.5 * share * share)
    }

    /// Kills a process at a random moment, unless it has ended before.
    fn kill(&mut self, mut process: Process, outcome: &mut Outcome) -> Result<()> {
        let moment = self.moment();
        if process.runs_after(moment)? && process.kill()? {
            outcome.kills += 1;
            outcome.times += 1;
        }
        Ok(())
    }

    /// Kills a run repeatedly until it finishes, at most `most` times.
    fn kill_until_through(
        &mut self,
        run: &Path,
        variable: (&str, &str),
        most: u64,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let library = self.library.clone().ok().filter(|_| !variable.0.is_empty());
        let disguise = Disguise {
            library: library.as_deref(),
            variable: library.is_some().then_some(variable),
        };
        let before = outcome.kills;
        for attempt in 0..most {
            let process = self.start(run, disguise)?;
            self.kill(process, outcome)?;
            if outcome.kills <= before + attempt {
                break;
            }
        }
        if library.is_some() {
            // Let it finish under the same conditions.
            let ended = self.pipeline.run(run, disguise)?;
            outcome.read.extend(ended.warning(run));
            if !ended.succeeded {
                outcome.wrong.push(ended.error(run).unwrap_or(ended.said));
            }
        }
        Ok(())
    }

    fn terminate(&mut self, run: &Path, outcome: &mut Outcome) -> Result<()> {
        for _ in 0..MOST {
            let mut process = self.start(run, Disguise::default())?;
            let moment = self.moment();
            if !process.runs_after(moment)? || !process.terminate()? {
                break;
            }
            outcome.times += 1;
        }
        Ok(())
    }

    /// Runs three processes at once; the first two are killed, the third finishes.
    fn several(&mut self, run: &Path, outcome: &mut Outcome) -> Result<()> {
        let [first, second, third] = [
            self.start(run, Disguise::default())?,
            self.start(run, Disguise::default())?,
            self.start(run, Disguise::default())?,
        ];
        self.kill(first, outcome)?;
        self.kill(second, outcome)?;
        let ended = third.end()?;
        if !ended.succeeded {
            outcome.wrong.push(format!(
                "the process that was not killed: {}",
                ended.error(run).unwrap_or(ended.said)
            ));
        }
        Ok(())
    }

    /// Changes a byte of a finished task's file during the run.
    fn change_a_file(&mut self, run: &Path, outcome: &mut Outcome) -> Result<()> {
        let mut process = self.start(run, Disguise::default())?;
        let moment = self.moments.before(self.time / 2);
        let mut runs = process.runs_after(moment)?;
        let mut files = Vec::new();
        while runs && files.is_empty() {
            finished_files(run, &mut files);
            runs = process.runs_after(Duration::from_millis(5))?;
        }
        if runs && !files.is_empty() {
            files.sort();
            let file = &files[self.moments.below(files.len())];
            let mut bytes =
                fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
            if !bytes.is_empty() {
                let place = self.moments.below(bytes.len());
                bytes[place] ^= 0x10;
                fs::write(file, bytes)
                    .with_context(|| format!("could not write {}", file.display()))?;
                outcome.times += 1;
            }
        }
        // A stage that reads the file may report the change, or may have read it before.
        outcome.read.extend(process.end()?.error(run));
        Ok(())
    }

    /// Makes a run that must fail with these words.
    fn fails(
        &mut self,
        run: &Path,
        words: &str,
        disguise: Disguise<'_>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let ended = self.pipeline.run(run, disguise)?;
        outcome.times += 1;
        match ended.error(run) {
            Some(error) if error.contains(words) => {
                outcome.read.insert(error);
            }
            Some(error) => outcome.wrong.push(format!("expected `{words}`, found: {error}")),
            None => outcome.wrong.push(format!("expected `{words}`, found: {}", ended.said)),
        }
        Ok(())
    }

    /// Gives the same command once more, which must end like the undisturbed run.
    fn goes_on(&mut self, run: &Path, outcome: &mut Outcome) -> Result<()> {
        let ended = self.pipeline.run(run, Disguise::default())?;
        if !ended.succeeded {
            outcome.wrong.push(format!(
                "the same command failed: {}",
                ended.error(run).unwrap_or(ended.said)
            ));
            return Ok(());
        }
        outcome.wrong.extend(self.whole.difference(&Contents::of(run)?));
        let log = fs::read_to_string(run.join("log.jsonl")).context("could not read the log")?;
        let torn = log.lines().filter(|line| line.matches("{\"timestamp\"").count() > 1).count();
        if torn > 0 {
            outcome.wrong.push(format!("{torn} lines of log.jsonl contain two entries"));
        }
        Ok(())
    }
}

/// Files of tasks with a record, apart from the records.
fn finished_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let kept = ["record.json", "in-progress.json", "training.lock"];
    let names: BTreeSet<String> = entries
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    for path in entries {
        if path.is_dir() {
            finished_files(&path, files);
        } else if names.contains("record.json")
            && !path.file_name().is_some_and(|name| kept.iter().any(|kept| name == *kept))
        {
            files.push(path);
        }
    }
}

/// Compiles the library that replaces system calls.
fn compile(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("stand_in.c"), folder.join("stand_in.so"));
    fs::write(&source, STAND_IN)
        .with_context(|| format!("could not write {}", source.display()))?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .output();
    let output = output.context("there is no C compiler (`cc`)")?;
    ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(library)
}
