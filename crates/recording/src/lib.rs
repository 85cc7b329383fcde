//! Scans of visual cortex: reading, writing, reliability, simulation with known truth.
//!
//! A [`Scan`] is one recording session in which a mouse saw images while the activity of its neurons was recorded. It
//! holds together by construction: every trial names an existing image, all arrays have one row a trial, all numbers are
//! finite, and no image is both trained and tested on.

mod error;
mod format;
mod neurons;
mod reliability;
mod responses;
mod scan;
pub mod simulation;
mod tier;

pub use error::{Error, Result};
pub use format::{read_scan, write_sensorium, write_static_hdf5};
pub use neurons::Neurons;
pub use reliability::{Reliability, reliability};
pub use responses::{Fitting, Measurement, ResponseKind, Responses};
pub use scan::{Origin, Scan, ScanParts};
pub use tier::Tier;
