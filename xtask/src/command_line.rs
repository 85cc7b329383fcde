//! The command line of `cargo xtask`.

use crate::commands::attack::AttackArguments;
use crate::commands::bench::BenchArguments;
use crate::commands::compare::CompareArguments;
use crate::commands::denoise::DenoiseArguments;
use crate::commands::export::ExportArguments;
use crate::commands::import::ImportArguments;
use crate::commands::inspect::InspectArguments;
use crate::commands::pipeline::PipelineArguments;
use crate::commands::records::RecordsArguments;
use crate::commands::similarity::SimilarityArguments;
use crate::commands::test::TestArguments;
use crate::commands::torture::TortureArguments;
use crate::commands::validate::ValidateArguments;
use clap::{Parser, Subcommand, ValueEnum};

/// Turns recordings of visual cortex into robust image classifiers.
///
/// The first call prepares the machine (it finds cmake or installs it if possible) and compiles the
/// workspace; later calls start at once.
#[derive(Parser, Debug)]
#[command(bin_name = "cargo xtask", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Worker threads; they affect only the time, never the results [default: all processors]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Device for fitting, training and attacking
    #[arg(long, global = true, value_enum, default_value_t = DeviceName::Cpu)]
    pub(crate) device: DeviceName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// The CPU
    Cpu,
    /// The first NVIDIA GPU; builds with CUDA, which takes some minutes the first time
    /// (docs/cuda.md)
    Cuda,
    /// The GPU in mixed precision: convolutions and matrix products of fits, trainings and attacks
    /// round their factors to TF32 and accumulate in f32
    CudaTf32,
}

/// Precision of training steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// Everything in f32
    F32,
    /// Features, their gradients and the factors of convolutions in bfloat16, sums and everything
    /// else in f32
    Mixed,
}

#[cfg(feature = "pipeline")]
impl From<Precision> for brainprior_pipeline::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Mixed => Self::Mixed,
        }
    }
}

#[cfg(feature = "pipeline")]
impl From<DeviceName> for brainprior_pipeline::run::DeviceName {
    fn from(name: DeviceName) -> Self {
        match name {
            DeviceName::Cpu => Self::Cpu,
            DeviceName::Cuda => Self::Cuda,
            DeviceName::CudaTf32 => Self::CudaTf32,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask pipeline
      the embedded default: simulated scans, procedural images, a report in a few minutes
  cargo xtask pipeline --dry-run
      show which stages would run and which are finished
  cargo xtask pipeline --run runs/lab --set scans.files='[\"scan1.h5\",\"scan2.h5\"]' --set images.file='\"cifar.safetensors\"'
      real files
  cargo xtask pipeline --set 'training.conditions=[{ target = \"none\" }, { target = \"denoised\", alpha = 80 }]'
      other targets with their own settings
  cargo xtask pipeline --only train --condition denoised --seed 1
      one network of the grid; several such jobs can share a run directory
  cargo xtask pipeline --run runs/lab --emit slurm > lab.sh && bash lab.sh
      the whole run on a cluster
  cargo xtask torture --minutes 10 --folder /scratch/me
      test whether runs on that disk survive kills, a full disk and refused locks
  cargo xtask import arrays layout.toml scan1.h5
      convert arrays and pictures to a scan, as described by a layout (data-specs/layout.toml)
  cargo xtask import nwb session.nwb scan1.h5 --size 36,64 --tiers 94,12,12
      the images shown in an NWB file, and the responses in the half second after their onset
  cargo xtask import suite2p folder scan1.h5 --onsets onsets.csv --images photographs --rate 7.5 --tiers 800,100,100
      cells from suite2p, with a table of onsets
  cargo xtask inspect scan1.h5
      shapes, tiers, repeats, reliability
  cargo xtask denoise scan1.h5 --seeds 3
      which denoiser is closest to the repeats, and whether any is closer than a single trial
  cargo xtask attack --checkpoint runs/default/train/none-seed0/best.safetensors --images runs/default/images/images.safetensors
      smallest perturbations of a network, and checks for gradient masking
  cargo xtask bench training --filter 'base 16'
      seconds, images per second and peak memory of a training step
";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run every stage from scans to the report; finished work is not repeated
    Pipeline(PipelineArguments),
    /// Run the checks of continuous integration: format, lints, all tests and documentation;
    /// optionally the Python package
    Test(TestArguments),
    /// Build the Python package: one wheel for 3.10 and later, in target/wheels
    Wheel,
    /// Check the dependencies: licenses, sources and bans with cargo-deny, unused ones with
    /// cargo-machete (built on first use). Then pack the crates that can be published, and check
    /// the workspace with the oldest supported Rust if rustup has it
    Audit,
    /// Fuzz every file reader with libFuzzer, starting from small valid files; stops a reader that
    /// panics, hangs or takes too much memory. All readers take eleven hours, unless minutes are
    /// given; an unknown name is answered by the list
    Fuzz {
        /// One reader, such as `npy` or `static-hdf5` [default: all, one after the other]
        reader: Option<String>,
        /// Minutes per reader
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
        minutes: u32,
    },
    /// Compile and link everything for CUDA, and run the device tests: on a GPU, or else on a
    /// stand-in that executes the kernels (ten minutes on two cores, after the build). What it
    /// needs is in docs/cuda.md
    CheckCuda,
    /// Time the hot paths on this machine: one JSON object per line on standard output, text on
    /// standard error
    Bench(BenchArguments),
    /// Compare two similarity matrices, or those of two scans' repeated images: correlations,
    /// alignment, intervals over images, noise ceilings
    Compare(CompareArguments),
    /// Fit denoisers to scans, and compare their similarities of the repeated images with those of
    /// single trials and of the other repeats
    Denoise(DenoiseArguments),
    /// Compute similarities of any responses for any number of images: neighbors, a sample of
    /// pairs, a histogram, or the full matrix. Resumes an interrupted run
    Similarity(SimilarityArguments),
    /// Find the smallest perturbations that mislead a checkpoint, and check whether the attacks can
    /// be trusted
    Attack(AttackArguments),
    /// Import a recording in another format as a scan file; reports what was taken, dropped and
    /// assumed, and rejects ambiguous data
    Import(ImportArguments),
    /// Keep one small file per network of an experiment, and make tables (Markdown) from all such
    /// files
    Records(RecordsArguments),
    /// Write a matrix or network for other programs: .npy, or a state dict under torchvision's
    /// names
    Export(ExportArguments),
    /// Check a file against the data spec of its kind and report what is wrong
    Validate(ValidateArguments),
    /// Show the contents of a file: shapes, tiers, repeats, reliability, units
    Inspect(InspectArguments),
    /// Test the robustness of runs on this machine: kill a short run, fill its disk or deny its
    /// locks, and check that it still ends with the same bytes
    Torture(TortureArguments),
}
