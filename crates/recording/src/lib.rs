#![doc = include_str!("../README.md")]
//!
//! A [`Scan`] is one recording session, in which a mouse saw images while the activity of its
//! neurons was recorded. A scan is valid by construction: every trial names an existing image, all
//! arrays have one row per trial, all numbers are finite, and no image is in two tiers. Labs store
//! scans as static HDF5 files or as Sensorium file trees ([`read_scan`], [`write_static_hdf5`],
//! [`write_sensorium`]). Images are identified by their content, so that scans can be matched.
//! `import` reads recordings in other formats. [`reliability`] measures how reliably each neuron
//! responds, [`Responses`] are the input of similarity matrices, and [`simulation`] generates scans
//! with known ground truth.
//!
//! HDF5 allows one call at a time, so files are read as a whole before anything is computed in
//! parallel. The HDF5 library is built from C and belongs to the default feature `hdf5` (`scans` in
//! the crate `brainprior`, where it is off by default). Without it, static HDF5 files and files of
//! responses or of a simulation's ground truth are not available.

mod error;
mod format;
#[cfg(feature = "hdf5")]
pub mod import;
mod neurons;
mod reliability;
mod responses;
mod scan;
pub mod simulation;
mod tier;

pub use error::{Error, Result};
#[cfg(feature = "hdf5")]
pub use format::write_static_hdf5;
pub use format::{
    Notes, distinct_images, list_sensorium, read_scan, read_scan_with_notes, write_sensorium,
};
pub use neurons::Neurons;
pub use reliability::{Reliability, median, reliability};
pub use responses::{Fitting, Measurement, ResponseKind, Responses};
pub use scan::{Origin, Scan, ScanParts};
pub use tier::Tier;
