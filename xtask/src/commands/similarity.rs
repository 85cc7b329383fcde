//! `cargo xtask similarity`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct SimilarityArguments {
    /// Files of responses (.h5); similarities are averaged over them, with images matched by
    /// content
    pub(crate) responses: Vec<PathBuf>,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Dataset in each file with one weight per neuron [default: equal weights]
    #[arg(long, value_name = "DATASET")]
    pub(crate) weights: Option<String>,
    /// Use only images that every file has, instead of those of any file
    #[arg(long)]
    pub(crate) intersection: bool,
    /// Also write the full matrix in this precision
    #[arg(long, value_name = "PRECISION")]
    pub(crate) matrix: Option<MatrixPrecision>,
    /// Nearest images to keep per image
    #[arg(long = "neighbours", value_name = "N", default_value_t = 10)]
    pub(crate) neighbors: usize,
    /// Pairs to sample uniformly; all if there are fewer
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) pairs: usize,
    /// Seed of the sample
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Memory limit in MiB for the vectors; if they do not fit, responses are read again for each
    /// band of images
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) memory: u32,
    /// Synthetic responses instead of files, for example 100000x2000
    #[arg(long, value_name = "IMAGESxNEURONS")]
    pub(crate) synthetic: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MatrixPrecision {
    /// Four bytes per pair
    F32,
    /// Two bytes per pair, with errors of at most 0.00025
    F16,
}

/// Computes the similarities and prints where each file is.
#[cfg(feature = "pipeline")]
pub(crate) fn run(
    arguments: SimilarityArguments,
    device: brainprior_pipeline::run::DeviceName,
) -> anyhow::Result<()> {
    use brainprior_pipeline::similarities;
    let options = similarities::Options {
        responses: arguments.responses,
        out: arguments.out,
        weights: arguments.weights,
        intersection: arguments.intersection,
        matrix: arguments.matrix.map(|precision| match precision {
            MatrixPrecision::F32 => similarities::MatrixPrecision::F32,
            MatrixPrecision::F16 => similarities::MatrixPrecision::F16,
        }),
        neighbors: arguments.neighbors,
        pairs: arguments.pairs,
        seed: arguments.seed,
        memory: arguments.memory as usize * (1 << 20),
        synthetic: arguments.synthetic,
    };
    similarities::run(&options, &device.open()?, &crate::terminal::Terminal::new())
}
