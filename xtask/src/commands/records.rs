//! `cargo xtask records`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct RecordsArguments {
    /// The folder of records, for example docs/experiments/records
    pub(crate) folder: PathBuf,
    /// Run directories whose evaluated networks are added first
    #[arg(long, value_name = "RUN", num_args = 1..)]
    pub(crate) add: Vec<PathBuf>,
}

/// Adds records and prints the tables.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &RecordsArguments) -> anyhow::Result<()> {
    use brainprior_pipeline::records;
    for run in &arguments.add {
        eprint!("{}", records::add(run, &arguments.folder)?);
    }
    print!("{}", records::tables(&arguments.folder)?);
    Ok(())
}
