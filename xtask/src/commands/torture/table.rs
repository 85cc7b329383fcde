//! The table of faults.

use super::{Fault, name};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The outcome of one fault.
#[derive(Default)]
pub(super) struct Outcome {
    /// Why it could not be tried.
    pub(super) not_tried: Option<String>,
    /// Number of processes that got SIGKILL.
    pub(super) kills: u64,
    /// Number of occurrences.
    pub(super) times: u64,
    /// Messages that the user sees.
    pub(super) read: BTreeSet<String>,
    /// Deviations from the expected outcome.
    pub(super) wrong: Vec<String>,
}

impl Outcome {
    pub(super) fn in_short(&self) -> String {
        match (&self.not_tried, self.wrong.first()) {
            (Some(reason), _) => format!("not tried: {reason}"),
            (None, Some(wrong)) => format!("WRONG: {wrong}"),
            (None, None) => format!("{} times, ends with the same bytes", self.times),
        }
    }
}

/// The outcome of each fault.
pub(super) struct Table(BTreeMap<Fault, (u64, Outcome)>);

impl Table {
    pub(super) fn new(faults: &[Fault]) -> Self {
        Self(faults.iter().map(|fault| (*fault, Default::default())).collect())
    }

    pub(super) fn add(&mut self, fault: Fault, outcome: Outcome) {
        let (rounds, all) = self.0.entry(fault).or_default();
        *rounds += u64::from(outcome.not_tried.is_none());
        all.not_tried = outcome.not_tried;
        all.kills += outcome.kills;
        all.times += outcome.times;
        all.read.extend(outcome.read);
        all.wrong.extend(outcome.wrong);
    }

    pub(super) fn kills(&self) -> u64 {
        self.0.values().map(|(_, outcome)| outcome.kills).sum()
    }

    pub(super) fn is_good(&self) -> bool {
        self.0.values().all(|(_, outcome)| outcome.wrong.is_empty())
    }
}

fn done(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill => "SIGKILL at random moments",
        Fault::Terminate => "SIGTERM at random moments",
        Fault::Several => "three processes in one run directory, two of them killed",
        Fault::FullDisk => "a disk with space for part of the run",
        Fault::ReadOnly => "a read-only run directory",
        Fault::Clock => "kills, then the clock set back two days",
        Fault::ChangedFile => "a byte of a finished file changed while a later stage runs",
        Fault::NoLocks => "a file system without locks, with kills",
        Fault::BrokenLocks => "a file system whose locks fail",
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, (rounds, outcome)) in &self.0 {
            writeln!(f, "{}: {}", name(*fault), done(*fault))?;
            if let Some(reason) = &outcome.not_tried {
                writeln!(f, "  not tried: {reason}")?;
                continue;
            }
            writeln!(f, "  {} times in {rounds} runs", outcome.times)?;
            if outcome.read.is_empty() {
                writeln!(f, "  messages: none; the same command resumes")?;
            }
            // Names of blocks and files vary; a few examples suffice.
            for sentence in outcome.read.iter().take(4) {
                writeln!(f, "  read: {sentence}")?;
            }
            if outcome.read.len() > 4 {
                writeln!(f, "  message: and {} similar ones", outcome.read.len() - 4)?;
            }
            match outcome.wrong.len() {
                0 => writeln!(f, "  end: the bytes of the undisturbed run, nothing left over")?,
                count => writeln!(f, "  end: WRONG {count} times, first: {}", outcome.wrong[0])?,
            }
        }
        Ok(())
    }
}
