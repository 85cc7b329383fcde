//! What can be typed after `cargo xtask`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// From recordings of visual cortex to robust image classifiers.
///
/// The first call prepares the machine (it looks for cmake and installs it where it can) and compiles the workspace;
/// later calls start at once.
#[derive(Parser, Debug)]
#[command(bin_name = "cargo xtask", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// Worker threads. Results do not depend on it, only the time does [default: all processors]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Where models are fitted, networks trained and attacked
    #[arg(long, global = true, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// This machine's processors
    Cpu,
    /// The first NVIDIA GPU; builds with CUDA, which takes some minutes the first time (docs/cuda.md)
    Cuda,
    /// The same in mixed precision: convolutions and matrix products of fits, trainings and attacks round their factors to TF32 and add up in f32
    CudaTf32,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask pipeline
      the embedded default: simulated scans, procedural images, a report in a few minutes
  cargo xtask pipeline --dry-run
      which stages would run, which are done
  cargo xtask pipeline --run runs/lab --set scans.files='[\"scan1.h5\",\"scan2.h5\"]' --set images.file='\"cifar.safetensors\"'
      real files
  cargo xtask pipeline --only train --condition denoised --seed 3
      one network of the grid; many such jobs may share a run directory
  cargo xtask pipeline --run runs/lab --emit slurm > lab.sh && bash lab.sh
      the whole run on a cluster
  cargo xtask inspect scan1.h5
      shapes, tiers, repeats, reliability
  cargo xtask attack --checkpoint runs/default/train/none-seed0/best.safetensors --images runs/default/images/images.safetensors
      smallest perturbations of a network, checks for gradient masking
  cargo xtask bench training --filter 'base 16'
      seconds, images a second and peak memory of a training step
";

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run every stage from scans to the report; what is already done is not done again
    Pipeline(PipelineArguments),
    /// What continuous integration runs: format, lints, all tests, documentation
    Test,
    /// Compile and link everything for CUDA, on a machine with or without a GPU, and run the tests for devices
    CheckCuda,
    /// Time the hot paths on this machine: one JSON object a line on standard output, text for people on standard error
    Bench(BenchArguments),
    /// How far two similarity matrices agree: correlations, alignment, intervals over images
    Compare(CompareArguments),
    /// Similarities of any responses, however many images: neighbours, a sample of pairs, a histogram, the matrix itself.
    /// What was interrupted is gone on from
    Similarity(SimilarityArguments),
    /// Look for the smallest perturbations that mislead a checkpoint, and check whether the attacks can be believed
    Attack(AttackArguments),
    /// Check a file against the data-spec of its kind and say what is wrong, and where
    Validate(FileArgument),
    /// Show what is in a file: shapes, tiers, repeats, reliability, units
    Inspect(FileArgument),
}

#[derive(Args, Debug)]
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub struct PipelineArguments {
    /// Configuration (TOML); without it the embedded default, which needs no files
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one setting; the value is TOML, a bare word is taken as a string. May be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Run directory [default: runs/ and the name of the configuration]
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Run only this stage (its inputs must exist already)
    #[arg(long, value_name = "STAGE")]
    pub only: Option<String>,
    /// Train and measure this condition alone (as training.conditions has it); with --only its inputs must exist already
    #[arg(long, value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Train and measure this seed alone
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Print a script that spreads the run over a batch system, and stop
    #[arg(long, value_name = "SYSTEM", value_enum)]
    pub emit: Option<BatchSystem>,
    /// Say which stages would run and which are done, then stop
    #[arg(long)]
    pub dry_run: bool,
}

/// A batch system.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub enum BatchSystem {
    /// A job for what comes before, an array with a task for each condition and seed, a job for what comes after
    Slurm,
}

#[derive(Args, Debug)]
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub struct BenchArguments {
    /// What to time
    pub name: BenchName,
    /// Counted runs of each case; one more runs first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeats: u16,
    /// Only cases whose name or shape contains this text
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
}

#[derive(Args, Debug)]
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub struct CompareArguments {
    /// A similarity matrix (.h5)
    pub first: PathBuf,
    /// Another; images are matched by content
    pub second: PathBuf,
}

#[derive(Args, Debug)]
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub struct SimilarityArguments {
    /// Files of responses (.h5); similarities are averaged over them, images being matched by content
    pub responses: Vec<PathBuf>,
    /// Folder for what is written
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Dataset in each file with one weight for each neuron [default: all count alike]
    #[arg(long, value_name = "DATASET")]
    pub weights: Option<String>,
    /// Only images that every file has, instead of those of any
    #[arg(long)]
    pub shared: bool,
    /// Also write the matrix, in this precision
    #[arg(long, value_name = "PRECISION")]
    pub matrix: Option<MatrixPrecision>,
    /// Nearest images to keep for each image
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub neighbours: usize,
    /// Pairs to draw uniformly, or all where there are fewer
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub pairs: usize,
    /// Seed of the drawn pairs
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// MiB that the vectors may take; where they do not fit, responses are read again for each band of images
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub memory: u32,
    /// Responses made on the fly instead of files, as 100000x2000
    #[arg(long, value_name = "IMAGESxNEURONS")]
    pub made: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MatrixPrecision {
    /// Four bytes a pair
    F32,
    /// Two bytes a pair, off by at most 0.00025
    F16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum BenchName {
    /// Convolutions, batch norm, sampling: GFLOP/s at the sizes of a ResNet18 and of a response model
    Ops,
    /// Response models: steps of training, prediction, an epoch at the size of the paper's scans; images a second, peak memory
    Response,
    /// Similarities of all pairs: in memory, into a file, growing with the images, and streamed
    Similarity,
    /// Steps of the joint training of a ResNet18, loader included: seconds, images a second, peak memory
    Training,
    /// Attacks on 100 images, ResNet18 with 16 base channels: FGSM, PGD, DeepFool, DDN; images a second
    Attacks,
}

#[derive(Args, Debug)]
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub struct AttackArguments {
    /// The network: a checkpoint of brainprior, or the state dict of an equal PyTorch module
    #[arg(long, value_name = "M.safetensors")]
    pub checkpoint: PathBuf,
    /// Labelled images, whose test part is attacked: CIFAR binary (folder or .tar.gz) or .safetensors
    #[arg(long, value_name = "SET")]
    pub images: PathBuf,
    /// How many of the test images
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    pub count: u16,
    /// Norm of the perturbations
    #[arg(long, value_enum, default_value_t = NormName::Both)]
    pub norm: NormName,
    /// Where results and what is done so far are kept [default: attacks/, the checkpoint's folder and name]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Another network, whose perturbations are tried on this one in the checks for masking. May be repeated
    #[arg(long = "source", value_name = "FILE")]
    pub sources: Vec<PathBuf>,
    /// Images of a block; an interrupted call goes on with the next attack of its block
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    pub block: u16,
    /// Steps along the decision boundary, where most of the time goes
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub decision_boundary_steps: u16,
    /// Images for the checks for masking
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    pub masking_images: u16,
    /// Leave the checks for masking out
    #[arg(long)]
    pub no_masking: bool,
    /// Seed of all random streams
    #[arg(long, value_name = "N", default_value_t = 2019)]
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NormName {
    /// Largest change of a pixel
    Linf,
    /// Euclidean length of the change
    L2,
    /// Both
    Both,
}

#[derive(Args, Debug)]
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub struct FileArgument {
    /// A scan (.h5, or a Sensorium folder or .zip), image set, responses, similarity, checkpoint or results file
    pub file: PathBuf,
}
