//! `cargo xtask inspect`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// A scan (.h5, or a Sensorium folder or .zip), image set, responses, similarity, checkpoint or
    /// results file
    pub(crate) file: PathBuf,
}

/// Prints the contents of the file.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    print!("{}", brainprior_pipeline::files::inspect(&arguments.file)?);
    Ok(())
}
