//! `cargo xtask denoise`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct DenoiseArguments {
    /// Scans, each fitted by itself
    #[arg(required = true)]
    pub(crate) scans: Vec<PathBuf>,
    /// The known truth of each scan, in the same order; it measures and takes part in no choice
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) truth: Vec<PathBuf>,
    /// One fit of all scans instead, which must show images of one size
    #[arg(long)]
    pub(crate) together: bool,
    /// Fits of each denoiser; figures are means over them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// Configuration (TOML), whose sections response and prediction count
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting, as of `pipeline`
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

/// Fits, and prints a table for each scan.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: DenoiseArguments, device: brainprior_pipeline::run::DeviceName) -> anyhow::Result<()> {
    let options = brainprior_pipeline::denoise::Options {
        scans: arguments.scans,
        truth: arguments.truth,
        together: arguments.together,
        seeds: arguments.seeds,
        config: brainprior_pipeline::config::Config::load(arguments.config.as_deref(), &arguments.settings)?,
    };
    brainprior_pipeline::denoise::run(&options, &device.open()?, &crate::terminal::Terminal::new())
}
