//! One run: its folder, the records that say what each artifact was made from, the device, and who is told of progress.
//!
//! Why a task runs again is decided in one place, `RunDirectory::finished`: its `Key` is another than the recorded one, or an
//! output is not what was recorded.

mod context;
mod device;
mod directory;
pub(crate) mod jobs;
mod progress;
mod record;

pub use context::{Context, Selection};
pub use device::DeviceName;
pub(crate) use device::described;
pub use directory::Mode;
pub(crate) use directory::RunDirectory;
pub use progress::{Bar, Progress, Silent};
pub(crate) use record::{Key, Record};

use anyhow::{Context as _, Result};

/// Prepares this process, once: a pool of `threads` workers, which change the time of a run and never its results.
///
/// # Errors
/// The pool is there already, or the system refuses threads.
pub fn prepare(threads: usize) -> Result<()> {
    // Every failed call of HDF5 becomes an error of ours; its own stack traces would only hide that.
    hdf5::silence_errors(true);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("could not start worker threads")
}
