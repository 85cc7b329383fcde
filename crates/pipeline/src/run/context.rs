//! The context of a run, passed to every stage.

use super::{Key, Mode, Progress, Record, RunDirectory};
use crate::config::Config;
use anyhow::Result;
use brainprior_artifact::replace;
use candle_core::Device;
use std::path::Path;

/// Configuration, run directory, device and observer of one run.
pub struct Context {
    pub(crate) config: Config,
    pub(crate) run: RunDirectory,
    pub(crate) progress: Box<dyn Progress>,
    pub(crate) selection: Selection,
    /// Device for fitting, training and attacking.
    pub(crate) device: Device,
}

impl Context {
    /// Opens the run directory at `root`, creating it if needed, and writes the resolved
    /// configuration into it; a dry run writes nothing.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be created or written.
    pub fn open(
        config: Config,
        root: &Path,
        options: RunOptions,
        progress: Box<dyn Progress>,
    ) -> Result<Self> {
        let RunOptions { mode, selection, device, commit } = options;
        let run = RunDirectory::open(root, mode)?.built_from(commit);
        if !run.is_dry() {
            replace::bytes(&root.join("config.toml"), config.to_toml()?.as_bytes())?;
        }
        Ok(Self { config, run, progress, selection, device })
    }

    /// Runs a task unless it is finished; see [`RunDirectory::task`].
    pub(crate) fn task(
        &self,
        key: Key,
        work: impl FnOnce(&Path) -> Result<Vec<String>>,
    ) -> Result<Option<Record>> {
        self.run.task(key, &*self.progress, work)
    }
}

/// Options of a run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Which stages run, or whether it is a dry run.
    pub mode: Mode,
    /// The selected part of the grid.
    pub selection: Selection,
    /// The device on which models are fitted and networks are trained and attacked.
    pub device: Device,
    /// The commit of the program, which records contain.
    pub commit: Option<&'static str>,
}

impl Default for RunOptions {
    /// The whole grid on the CPU.
    fn default() -> Self {
        Self { mode: Mode::Run, selection: Selection::default(), device: Device::Cpu, commit: None }
    }
}

/// The selected part of the grid; all of it by default.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// A condition by its name in `training.conditions`.
    pub condition: Option<String>,
    /// A seed below `training.seeds`.
    pub seed: Option<u64>,
}

impl Selection {
    /// Whether the whole grid is selected.
    pub(crate) fn is_all(&self) -> bool {
        self.condition.is_none() && self.seed.is_none()
    }
}
