//! `cargo xtask attack`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct AttackArguments {
    /// The network: a checkpoint of brainprior, or the state dict of an equivalent PyTorch module,
    /// also under torchvision's names (.safetensors, .pt, .pth)
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: PathBuf,
    /// Labeled images, of which the test images are attacked: CIFAR (folder or .tar.gz), a folder
    /// of pictures, or .safetensors
    #[arg(long, value_name = "SET")]
    pub(crate) images: PathBuf,
    /// Number of test images
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) count: u16,
    /// Norm of the perturbations
    #[arg(long, value_enum, ignore_case = true, default_value_t = NormName::Both)]
    pub(crate) norm: NormName,
    /// Folder for results and progress [default: attacks/, then the checkpoint's folder and name]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Another network from which perturbations are transferred in the masking checks. May be
    /// repeated
    #[arg(long = "source", value_name = "FILE")]
    pub(crate) sources: Vec<PathBuf>,
    /// Images per block; an interrupted call resumes with the next attack of its block
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) block: u16,
    /// Forward and backward passes per image and norm, for all attacks together
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u16).range(100..))]
    pub(crate) budget: u16,
    /// Images for the masking checks: the first that the network classifies correctly; fewer than
    /// 100 are too few to tell
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) masking_images: u16,
    /// Skip the masking checks
    #[arg(long)]
    pub(crate) no_masking: bool,
    /// Seed of all random streams
    #[arg(long, value_name = "N", default_value_t = 2019)]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum NormName {
    /// Largest change of a pixel
    Linf,
    /// Euclidean length of the change
    L2,
    /// Sum of the changes
    L1,
    /// Number of changed values
    L0,
    /// Linf and L2
    Both,
    /// All four
    All,
}

/// Runs the attacks and prints the results.
#[cfg(feature = "pipeline")]
pub(crate) fn run(
    arguments: AttackArguments,
    device: brainprior_pipeline::run::DeviceName,
) -> anyhow::Result<()> {
    use brainprior_pipeline::adversarial;
    let options = adversarial::Options {
        checkpoint: arguments.checkpoint,
        images: arguments.images,
        count: arguments.count.into(),
        norm: match arguments.norm {
            NormName::Linf => adversarial::NormName::Linf,
            NormName::L2 => adversarial::NormName::L2,
            NormName::L1 => adversarial::NormName::L1,
            NormName::L0 => adversarial::NormName::L0,
            NormName::All => adversarial::NormName::All,
            NormName::Both => adversarial::NormName::Both,
        },
        out: arguments.out,
        sources: arguments.sources,
        block: arguments.block.into(),
        budget: arguments.budget.into(),
        masking_images: (!arguments.no_masking).then_some(arguments.masking_images.into()),
        seed: arguments.seed,
        commit: crate::COMMIT,
    };
    let attacked = adversarial::run(&options, &device.open()?, &crate::terminal::Terminal::new())?;
    print!("{}", attacked.text);
    println!("figures: {}", attacked.figures.display());
    Ok(())
}
