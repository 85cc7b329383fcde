//! `cargo xtask bench`.

use crate::command_line::Precision;
use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct BenchArguments {
    /// The benchmark
    pub(crate) name: BenchName,
    /// Timed runs of each case, after one warm-up run
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) repeats: u16,
    /// Only cases whose name or shape contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Precision of training steps and their operations
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BenchName {
    /// Convolutions, batch norm and sampling: GFLOP/s at the sizes of a ResNet18 and a response
    /// model
    Ops,
    /// Response models: training steps, prediction, an epoch at the size of the paper's scans;
    /// images per second, peak memory
    Response,
    /// Similarities of all pairs: in memory, into a file, for growing numbers of images, and
    /// streamed
    Similarity,
    /// Joint training steps of a ResNet18, including the loader: seconds, images per second, peak
    /// memory
    Training,
    /// Attacks on 100 images with a ResNet18 of 16 base channels: FGSM, PGD, DeepFool, DDN; images
    /// per second
    Attacks,
}

/// Runs the benchmark and prints each case as soon as it is timed.
#[cfg(feature = "pipeline")]
pub(crate) fn run(
    arguments: BenchArguments,
    device: brainprior_pipeline::run::DeviceName,
) -> anyhow::Result<()> {
    use brainprior_pipeline::bench;
    let options = bench::Options {
        name: match arguments.name {
            BenchName::Ops => bench::BenchName::Ops,
            BenchName::Response => bench::BenchName::Response,
            BenchName::Similarity => bench::BenchName::Similarity,
            BenchName::Training => bench::BenchName::Training,
            BenchName::Attacks => bench::BenchName::Attacks,
        },
        repeats: arguments.repeats.into(),
        filter: arguments.filter.unwrap_or_default(),
        precision: arguments.precision.into(),
    };
    bench::run(&options, device.open()?, &|measured| {
        println!("{}", measured.json);
        eprintln!("{}", measured.text);
    })
}
