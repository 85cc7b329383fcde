//! The orchestrator of brainprior. Plain `xtask` is light: it reads the command line, makes sure that the native build
//! tools exist, builds itself again in release mode with the feature `pipeline`, and hands over.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[cfg(not(feature = "pipeline"))]
mod bootstrap;
mod command_line;
#[cfg(not(feature = "pipeline"))]
mod cuda_build;
#[cfg(not(feature = "pipeline"))]
mod native_tools;
#[cfg(feature = "pipeline")]
#[path = "../../crates/pipeline/src/mod.rs"]
mod pipeline;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    let arguments = command_line::Arguments::parse();
    #[cfg(not(feature = "pipeline"))]
    return bootstrap::prepare_and_hand_over(&arguments);
    #[cfg(feature = "pipeline")]
    return pipeline::run(arguments);
}
