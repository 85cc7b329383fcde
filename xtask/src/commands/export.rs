//! `cargo xtask export`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    /// What is written
    #[arg(value_enum)]
    pub(crate) kind: TargetKind,
    /// The similarity matrix (.h5), or the trained classifier (.safetensors, .pt, .pth)
    pub(crate) source: PathBuf,
    /// The file to write: .npy of a matrix, .safetensors of a network
    pub(crate) out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TargetKind {
    /// A similarity matrix as an array of NumPy, with the identities of its images beside it
    Matrix,
    /// A classifier as a state dict under torchvision's names
    Network,
}

/// Writes the file and prints what is in it.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    use brainprior_pipeline::export::{Kind, export};
    let kind = match arguments.kind {
        TargetKind::Matrix => Kind::Matrix,
        TargetKind::Network => Kind::Network,
    };
    print!("{}", export(kind, &arguments.source, &arguments.out)?);
    Ok(())
}
