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
    /// The condition that others are compared with, seed by seed, for example "none blur=1.5"
    #[arg(long, value_name = "CONDITION", default_value = "none")]
    pub(crate) baseline: String,
    /// Also write a figure of accuracy under noise, an SVG image
    #[arg(long, value_name = "FILE")]
    pub(crate) figure: Option<PathBuf>,
}

/// Adds records, prints the tables and writes the figure.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &RecordsArguments) -> anyhow::Result<()> {
    use brainprior_pipeline::records;
    for run in &arguments.add {
        eprint!("{}", records::add(run, &arguments.folder)?);
    }
    print!("{}", records::tables(&arguments.folder, &arguments.baseline)?);
    if let Some(path) = &arguments.figure {
        records::write_figure(&arguments.folder, path)?;
        eprintln!("{}", path.display());
    }
    Ok(())
}
