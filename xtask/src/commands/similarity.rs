//! `cargo xtask similarity`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct SimilarityArguments {
    /// Files of responses (.h5); similarities are averaged over them, images being matched by content
    pub(crate) responses: Vec<PathBuf>,
    /// Folder for what is written
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Dataset in each file with one weight for each neuron [default: all count alike]
    #[arg(long, value_name = "DATASET")]
    pub(crate) weights: Option<String>,
    /// Only images that every file has, instead of those of any
    #[arg(long)]
    pub(crate) intersection: bool,
    /// Also write the matrix, in this precision
    #[arg(long, value_name = "PRECISION")]
    pub(crate) matrix: Option<MatrixPrecision>,
    /// Nearest images to keep for each image
    #[arg(long = "neighbours", value_name = "N", default_value_t = 10)]
    pub(crate) neighbors: usize,
    /// Pairs to draw uniformly, or all where there are fewer
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) pairs: usize,
    /// Seed of the drawn pairs
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// MiB that the vectors may take; where they do not fit, responses are read again for each band of images
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) memory: u32,
    /// Synthetic responses instead of files, as 100000x2000
    #[arg(long, value_name = "IMAGESxNEURONS")]
    pub(crate) synthetic: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MatrixPrecision {
    /// Four bytes a pair
    F32,
    /// Two bytes a pair, off by at most 0.00025
    F16,
}

/// Measures, and says where each file lies.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: SimilarityArguments, device: brainprior_pipeline::run::DeviceName) -> anyhow::Result<()> {
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
