//! `cargo xtask import`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// What the recording lies in
    #[arg(value_enum)]
    pub(crate) kind: SourceKind,
    /// The layout (.toml) of arrays, or the folder of a session
    pub(crate) source: PathBuf,
    /// The scan file to write, in the static HDF5 layout
    pub(crate) out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SourceKind {
    /// Arrays (.npy, .npz, HDF5, MATLAB 7.3) and pictures (a folder or .zip of PNG or JPEG), which a TOML file describes
    Arrays,
    /// A session in the folders of experanto: image trials, responses 0.05 to 0.55 s after onset, pupil and running
    Experanto,
}

/// Writes the scan and prints what was taken, dropped and assumed.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &ImportArguments) -> anyhow::Result<()> {
    use brainprior_pipeline::import::{Kind, import};
    let kind = match arguments.kind {
        SourceKind::Arrays => Kind::Arrays,
        SourceKind::Experanto => Kind::Experanto,
    };
    print!("{}", import(kind, &arguments.source, &arguments.out)?);
    Ok(())
}
