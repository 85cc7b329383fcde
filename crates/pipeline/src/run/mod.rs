//! A run: its directory, the records of what each artifact was made from, the device, and progress
//! reports.
//!
//! `RunDirectory::finished` decides whether a task runs again: its `Key` differs from the recorded
//! one, or an output was changed.

mod context;
mod device;
mod directory;
pub(crate) mod jobs;
mod progress;
mod record;

pub use context::{Context, RunOptions, Selection};
pub use device::DeviceName;
pub(crate) use device::described;
pub use directory::Mode;
pub(crate) use directory::RunDirectory;
pub use progress::{Bar, Progress, Silent};
pub(crate) use record::{Key, Record};

use anyhow::{Context as _, Result};

/// Prepares this process, once: creates a pool of `threads` workers, which affects only speed,
/// never results.
///
/// # Errors
/// Returns an error if the pool already exists or the system refuses threads.
pub fn prepare(threads: usize) -> Result<()> {
    // HDF5 errors become errors of ours; its stack traces would only hide them.
    hdf5::silence_errors(true);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .context("could not start worker threads")
}
