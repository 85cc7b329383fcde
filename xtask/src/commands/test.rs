//! `cargo xtask test`.

#[cfg(not(feature = "pipeline"))]
mod checks;

#[cfg(not(feature = "pipeline"))]
pub(crate) use checks::run;
use clap::Args;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct TestArguments {
    /// Also build the Python package and run its tests, if there is a Python 3.10 or later with
    /// venv; its dependencies are compiled with other features, which takes some minutes more
    #[arg(long)]
    pub(crate) python: bool,
    /// Like --python, including the tests that need PyTorch, which pip downloads
    #[arg(long)]
    pub(crate) torch: bool,
}
