//! What can be typed after `cargo xtask`.

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

/// From recordings of visual cortex to robust image classifiers.
///
/// The first call prepares the machine (it looks for cmake and installs it where it can) and compiles the workspace;
/// later calls start at once.
#[derive(Parser, Debug)]
#[command(bin_name = "cargo xtask", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Worker threads. Results do not depend on it, only the time does [default: all processors]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Where models are fitted, networks trained and attacked
    #[arg(long, global = true, value_enum, default_value_t = DeviceName::Cpu)]
    pub(crate) device: DeviceName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// This machine's processors
    Cpu,
    /// The first NVIDIA GPU; builds with CUDA, which takes some minutes the first time (docs/cuda.md)
    Cuda,
    /// The same in mixed precision: convolutions and matrix products of fits, trainings and attacks round their factors to TF32 and add up in f32
    CudaTf32,
}

/// What steps of training are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// Everything in f32
    F32,
    /// Features, their gradients and the factors of convolutions in bfloat16, sums and all else in f32
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
      which stages would run, which are done
  cargo xtask pipeline --run runs/lab --set scans.files='[\"scan1.h5\",\"scan2.h5\"]' --set images.file='\"cifar.safetensors\"'
      real files
  cargo xtask pipeline --set 'training.conditions=[{ target = \"none\" }, { target = \"denoised\", alpha = 80 }]'
      other targets, and settings of their own
  cargo xtask pipeline --only train --condition denoised --seed 1
      one network of the grid; many such jobs may share a run directory
  cargo xtask pipeline --run runs/lab --emit slurm > lab.sh && bash lab.sh
      the whole run on a cluster
  cargo xtask torture --minutes 10 --folder /scratch/me
      whether runs on that disk survive kills, a full disk, refused locks
  cargo xtask import arrays layout.toml scan1.h5
      arrays and pictures to a scan, as data-specs/layout.toml describes
  cargo xtask import nwb session.nwb scan1.h5 --size 36,64 --tiers 94,12,12
      the images that an NWB file shows, and what its neurons did in the half second after
  cargo xtask import suite2p folder scan1.h5 --onsets onsets.csv --images photographs --rate 7.5 --tiers 800,100,100
      cells of suite2p, beside a table of onsets
  cargo xtask inspect scan1.h5
      shapes, tiers, repeats, reliability
  cargo xtask denoise scan1.h5 --seeds 3
      which denoiser is nearest to the repeats, and whether any is nearer than one trial
  cargo xtask attack --checkpoint runs/default/train/none-seed0/best.safetensors --images runs/default/images/images.safetensors
      smallest perturbations of a network, checks for gradient masking
  cargo xtask bench training --filter 'base 16'
      seconds, images a second and peak memory of a training step
";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run every stage from scans to the report; what is already done is not done again
    Pipeline(PipelineArguments),
    /// What continuous integration runs: format, lints, all tests, documentation; and, asked for it, the package for Python
    Test(TestArguments),
    /// Build the package for Python: one wheel for 3.10 and later, into target/wheels
    Wheel,
    /// Check the dependencies: licenses, sources and bans by cargo-deny, unused ones by cargo-machete, which it builds once
    Audit,
    /// Feed every reader of files with what libFuzzer makes of small valid ones; stops where one panics, hangs or takes too much memory
    Fuzz {
        /// One reader, as `npy` or `static-hdf5` [default: all of them, one after the other]
        reader: Option<String>,
        /// Minutes for each reader
        #[arg(long, value_name = "N", default_value_t = 30)]
        minutes: u32,
    },
    /// Compile and link everything for CUDA, and run the tests for devices: on the GPU, or without one on a stand-in that runs the kernels
    CheckCuda,
    /// Time the hot paths on this machine: one JSON object a line on standard output, text for people on standard error
    Bench(BenchArguments),
    /// How far two similarity matrices, or those of two scans' repeated images, agree: correlations, alignment, intervals over images, ceilings
    Compare(CompareArguments),
    /// Fit denoisers to scans and compare what they make of the repeated images with one trial and with the other repeats
    Denoise(DenoiseArguments),
    /// Similarities of any responses, however many images: neighbours, a sample of pairs, a histogram, the matrix itself.
    /// What was interrupted is gone on from
    Similarity(SimilarityArguments),
    /// Look for the smallest perturbations that mislead a checkpoint, and check whether the attacks can be believed
    Attack(AttackArguments),
    /// Bring a recording in another format to a scan file; says what was taken, dropped and assumed, and refuses what is in doubt
    Import(ImportArguments),
    /// Keep a small file of each network of an experiment, and make its tables (Markdown) of whatever such files there are
    Records(RecordsArguments),
    /// Write a matrix or a network for other programs: .npy, or a state dict under torchvision's names
    Export(ExportArguments),
    /// Check a file against the data-spec of its kind and say what is wrong, and where
    Validate(ValidateArguments),
    /// Show what is in a file: shapes, tiers, repeats, reliability, units
    Inspect(InspectArguments),
    /// Kill a run of seconds, fill its disk, refuse its locks, again and again: does it come to the same bytes on this machine?
    Torture(TortureArguments),
}
