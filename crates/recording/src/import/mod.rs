//! Recordings as other labs keep them, brought to a [`Scan`]: what was taken, dropped and assumed is told, and what is in doubt is
//! refused.
//!
//! [`arrays`] follows a [`Layout`], a small TOML file that says what the axes of some arrays are; [`experanto`] reads sessions in the
//! folders of that library.

mod account;
mod arrays;
mod experanto;

pub use account::Account;
pub use arrays::{Layout, arrays};
pub use experanto::experanto;

use crate::Scan;

/// A recording that came in.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What it holds.
    pub scan: Scan,
    /// How it came to that.
    pub account: Account,
}
