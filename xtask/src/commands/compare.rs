//! `cargo xtask compare`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct CompareArguments {
    /// A similarity matrix (.h5), or a scan, whose repeated images are compared
    pub(crate) first: PathBuf,
    /// A second one; images are matched by content
    pub(crate) second: PathBuf,
}

/// Prints the table.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &CompareArguments) -> anyhow::Result<()> {
    print!("{}", brainprior_pipeline::compare::compare_files(&arguments.first, &arguments.second)?);
    Ok(())
}
