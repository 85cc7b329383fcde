//! The tortured run and its processes.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Every stage does its real work in about two seconds of CPU time.
const SETTINGS: [&str; 23] = [
    "name=torture",
    "simulation.scans=1",
    "simulation.neurons=20",
    "simulation.images=60",
    "simulation.oracle_images=10",
    "simulation.repeats=4",
    "images.train=128",
    "images.test=40",
    "response.core.channels=[4, 4]",
    "response.core.kernels=[7, 3]",
    "response.optimization.max_epochs=4",
    "training.seeds=1",
    "training.epochs=3",
    "training.base_channels=4",
    "training.pairs=4",
    "training.conditions=[{ target = \"none\" }, { target = \"denoised\" }]",
    "robustness.noise_images=40",
    "robustness.attack_images=5",
    "robustness.gaussian=[0.0, 0.1]",
    "robustness.linf=[0.1]",
    "robustness.l2=[1.0]",
    "robustness.passes=100",
    "robustness.corruption_images=5",
];

/// Starts runs.
pub(super) struct Pipeline {
    program: PathBuf,
    threads: usize,
}

/// Settings for the preloaded library, and its path.
#[derive(Clone, Copy, Default)]
pub(super) struct Disguise<'a> {
    pub(super) library: Option<&'a Path>,
    pub(super) variable: Option<(&'a str, &'a str)>,
}

/// A process that makes a run; it is killed when this value is dropped.
pub(super) struct Process(Child);

/// How a process ended.
pub(super) struct Ended {
    pub(super) succeeded: bool,
    /// Its standard error.
    pub(super) said: String,
}

impl Pipeline {
    pub(super) fn new(threads: usize) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("could not find this program")?,
            threads,
        })
    }

    pub(super) fn start(&self, run: &Path, disguise: Disguise<'_>) -> Result<Process> {
        let mut command = Command::new(&self.program);
        command.args(["--threads", &self.threads.to_string(), "pipeline", "--run"]).arg(run);
        for setting in
            SETTINGS.iter().chain(&["robustness.masking_images=5", "robustness.masking_queries=10"])
        {
            command.args(["--set", setting]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env_remove("RUST_BACKTRACE");
        // `cargo xtask` sets this, too.
        command.env("HDF5_USE_FILE_LOCKING", "FALSE");
        if let Some(library) = disguise.library {
            command.env("LD_PRELOAD", library);
        }
        command.envs(disguise.variable);
        Ok(Process(command.spawn().context("could not start this program once more")?))
    }

    /// Makes a run until it finishes or fails.
    pub(super) fn run(&self, run: &Path, disguise: Disguise<'_>) -> Result<Ended> {
        self.start(run, disguise)?.end()
    }
}

impl Process {
    /// Waits for `moment`; returns whether the process still runs.
    pub(super) fn runs_after(&mut self, moment: Duration) -> Result<bool> {
        std::thread::sleep(moment);
        Ok(self.0.try_wait()?.is_none())
    }

    /// Sends SIGKILL; returns whether it came before the end.
    pub(super) fn kill(mut self) -> Result<bool> {
        self.0.kill().context("could not kill a process of ours")?;
        Ok(self.0.wait()?.code().is_none())
    }

    /// Sends SIGTERM; returns whether it came before the end.
    pub(super) fn terminate(&mut self) -> Result<bool> {
        Command::new("kill")
            .arg("-TERM")
            .arg(self.0.id().to_string())
            .status()
            .context("could not start `kill`")?;
        Ok(self.0.wait()?.code().is_none())
    }

    /// Waits for the end.
    pub(super) fn end(mut self) -> Result<Ended> {
        let mut said = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut said)
                .context("could not read the output of a run")?;
        }
        Ok(Ended { succeeded: self.0.wait()?.success(), said })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ended {
    /// The error as the user sees it, on one line and without the run's path; `None` after a
    /// success.
    pub(super) fn error(&self, run: &Path) -> Option<String> {
        let (_, error) = self.said.split_once("Error: ")?;
        let words: Vec<&str> = error
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && *line != "Caused by:")
            .collect();
        Some(words.join(" / ").replace(&run.display().to_string(), "RUN"))
    }

    /// The first warning, on one line.
    pub(super) fn warning(&self, run: &Path) -> Option<String> {
        let line = self.said.lines().find(|line| line.trim_start().starts_with("WARN"))?;
        Some(line.trim().replace(&run.display().to_string(), "RUN"))
    }
}
