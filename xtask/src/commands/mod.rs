//! One file per command: its options, and its call of the library.

pub(crate) mod attack;
#[cfg(not(feature = "pipeline"))]
pub(crate) mod audit;
pub(crate) mod bench;
#[cfg(not(feature = "pipeline"))]
pub(crate) mod check_cuda;
pub(crate) mod compare;
pub(crate) mod denoise;
pub(crate) mod export;
#[cfg(not(feature = "pipeline"))]
pub(crate) mod fuzz;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod pipeline;
#[cfg(not(feature = "pipeline"))]
pub(crate) mod python;
pub(crate) mod records;
pub(crate) mod similarity;
pub(crate) mod test;
pub(crate) mod torture;
pub(crate) mod validate;

/// Runs the command.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: crate::command_line::Arguments) -> anyhow::Result<()> {
    use crate::command_line::Command;
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.map_or_else(available, usize::from);
    brainprior_pipeline::run::prepare(threads)?;
    let device = arguments.device.into();
    if !matches!(arguments.command, Command::Pipeline(_)) {
        // A run also writes a log, as soon as its folder exists.
        crate::terminal::listen(None)?;
    }
    match arguments.command {
        Command::Pipeline(options) => pipeline::run(options, device, threads),
        Command::Bench(options) => bench::run(options, device),
        Command::Attack(options) => attack::run(options, device),
        Command::Similarity(options) => similarity::run(options, device),
        Command::Denoise(options) => denoise::run(options, device),
        Command::Compare(options) => compare::run(&options),
        Command::Records(options) => records::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Import(options) => import::run(&options),
        Command::Validate(options) => validate::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Torture(options) => torture::run(&options, threads),
        Command::Test(_)
        | Command::Wheel
        | Command::CheckCuda
        | Command::Audit
        | Command::Fuzz { .. } => {
            anyhow::bail!("this command needs the build by the launcher; run it with `cargo xtask`")
        }
    }
}
