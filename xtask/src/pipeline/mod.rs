//! The heavy half: runs what was asked for.

use crate::command_line::Arguments;

/// Runs the command.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    anyhow::bail!("not wired yet: {arguments:?}")
}
