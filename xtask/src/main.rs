//! The command line of brainprior. The plain `xtask` is light: it parses the command line, makes
//! sure that the native build tools exist, builds itself again in release mode with the feature
//! `pipeline`, and hands over. With the feature, it calls the library `brainprior-pipeline` and
//! owns the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[cfg(not(feature = "pipeline"))]
mod bootstrap;
mod command_line;
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
mod commands;
#[cfg(not(feature = "pipeline"))]
mod cuda_build;
#[cfg_attr(feature = "pipeline", allow(dead_code, reason = "the light half calls it"))]
mod fault;
#[cfg(not(feature = "pipeline"))]
mod native_tools;
#[cfg(feature = "pipeline")]
mod terminal;

use clap::Parser;

/// The commit from which this was built, if git knew it.
#[cfg(feature = "pipeline")]
const COMMIT: Option<&str> = option_env!("BRAINPRIOR_COMMIT");

fn main() -> anyhow::Result<()> {
    let arguments = command_line::Arguments::parse();
    #[cfg(not(feature = "pipeline"))]
    return bootstrap::prepare_and_hand_over(&arguments);
    #[cfg(feature = "pipeline")]
    commands::run(arguments)
}
