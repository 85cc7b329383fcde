//! What every stage is given.

use super::config::Config;
use super::progress::Terminal;
use super::run_directory::RunDirectory;

/// Configuration, run directory and terminal of one run.
pub struct Context {
    pub config: Config,
    pub run: RunDirectory,
    pub terminal: Terminal,
}
