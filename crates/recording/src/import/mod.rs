//! Recordings as other labs keep them, brought to a [`Scan`]: what was taken, dropped and assumed is told, and what is in doubt is
//! refused.
//!
//! [`arrays`] follows a [`Layout`], a small TOML file that says what the axes of some arrays are; [`experanto`] reads sessions in the
//! folders of that library; [`nwb`] files of Neurodata Without Borders in which images were shown; [`suite2p`] its traces, beside a table
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
pub use settings::{ImageAxis, ImageSettings, NwbSettings, OnsetUnit, Settings, Suite2pSettings, TierCounts, Traces, Window};
pub use suite2p::suite2p;

use crate::Scan;

/// A recording that came in.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What it holds.
    pub scan: Scan,
    /// How it came to that.
    pub account: Account,
}
