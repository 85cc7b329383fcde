//! Imports recordings from the formats of other labs into a [`Scan`]. Each import reports what was
//! taken, dropped and assumed, and refuses anything ambiguous.
//!
//! [`arrays`] follows a [`Layout`], a small TOML file that names the axes of some arrays;
//! [`experanto`] reads sessions in the folders of that library; [`nwb`] reads Neurodata Without
//! Borders files with image presentations; [`suite2p`] reads traces of suite2p with a table
//! of onsets.

mod account;
mod arrays;
mod asked;
mod clock;
mod draw;
mod experanto;
mod foreign;
mod nwb;
mod pictures;
mod recorded;
mod settings;
mod source;
mod suite2p;

pub use account::Account;
pub use arrays::{Layout, arrays};
pub use experanto::experanto;
pub use nwb::nwb;
pub use settings::{
    ImageAxis, ImageSettings, NwbSettings, OnsetUnit, Settings, Suite2pSettings, TierCounts,
    Traces, Window,
};
pub use suite2p::suite2p;

use crate::Scan;

/// An imported recording.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The scan.
    pub scan: Scan,
    /// The report on the import.
    pub account: Account,
}
