//! What every stage is given.

use super::config::Config;
use super::progress::Terminal;
use super::run_directory::RunDirectory;
use candle_core::Device;

/// Configuration, run directory and terminal of one run.
pub struct Context {
    pub config: Config,
    pub run: RunDirectory,
    pub terminal: Terminal,
    pub selection: Selection,
    /// Where models are fitted, networks trained and attacked.
    pub device: Device,
}

/// The part of the grid that was asked for on the command line; all of it where nothing was.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub condition: Option<String>,
    pub seed: Option<u64>,
}

impl Selection {
    /// Whether the whole grid was asked for.
    pub fn is_all(&self) -> bool {
        self.condition.is_none() && self.seed.is_none()
    }
}
