//! `cargo xtask denoise`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct DenoiseArguments {
    /// Scans, each fitted separately
    #[arg(required = true)]
    pub(crate) scans: Vec<PathBuf>,
    /// The ground truth of each scan, in the same order; used for evaluation only
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) truth: Vec<PathBuf>,
    /// Fit all scans together; their images must have the same size
    #[arg(long)]
    pub(crate) together: bool,
    /// Fits per denoiser; results are averaged over them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// Configuration (TOML); only its sections response and prediction are used
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting, as in `pipeline`; for example prediction.network=none, for readouts of the filter bank only
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

/// Fits the denoisers and prints a table for each scan.
#[cfg(feature = "pipeline")]
pub(crate) fn run(
    arguments: DenoiseArguments,
    device: brainprior_pipeline::run::DeviceName,
) -> anyhow::Result<()> {
    let options = brainprior_pipeline::denoise::Options {
        scans: arguments.scans,
        truth: arguments.truth,
        together: arguments.together,
        seeds: arguments.seeds,
        config: brainprior_pipeline::config::Config::load(
            arguments.config.as_deref(),
            &arguments.settings,
        )?,
    };
    brainprior_pipeline::denoise::run(&options, &device.open()?, &crate::terminal::Terminal::new())
}
