//! `cargo xtask export`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    /// What to export
    #[arg(value_enum)]
    pub(crate) kind: TargetKind,
    /// The similarity matrix (.h5), or the trained classifier (.safetensors, .pt, .pth)
    pub(crate) source: PathBuf,
    /// The file to write: .npy for a matrix, .safetensors for a network
    pub(crate) out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TargetKind {
    /// A similarity matrix as a NumPy array, with a second file for the identities of its images
    Matrix,
    /// A classifier as a state dict under torchvision's names
    Network,
}

/// Writes the file and prints a summary.
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
