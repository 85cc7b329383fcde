//! `cargo xtask validate`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ValidateArguments {
    /// A scan (.h5, or a Sensorium folder or .zip), image set, responses, similarity, checkpoint or
    /// results file
    pub(crate) file: PathBuf,
}

/// Prints that the file is valid, or returns what is wrong as the error.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &ValidateArguments) -> anyhow::Result<()> {
    println!("{}", brainprior_pipeline::files::validate(&arguments.file)?);
    Ok(())
}
