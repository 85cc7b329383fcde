//! Scans of visual cortex: reading, writing, reliability, simulation with known truth.
//!
//! A [`Scan`] is one recording session in which a mouse saw images while the activity of its neurons was recorded. It
//! holds together by construction: every trial names an existing image, all arrays have one row a trial, all numbers are
//! finite, and no image is both trained and tested on. Labs keep scans as static HDF5 files or as Sensorium file trees
//! ([`read_scan`], [`write_static_hdf5`], [`write_sensorium`]); which images are the same is decided by their content, so
//! that scans can be matched. What other labs have comes in through `import`. [`reliability`] says how well each neuron repeats itself, [`Responses`] are what later steps
//! compare images by, and [`simulation`] makes scans whose truth is known.
//!
//! ```
//! use brainprior_recording::{Tier, read_scan, reliability};
//! use std::path::Path;
//!
//! let scan = read_scan(Path::new("tests/data/numpy.zip"))?;
//! assert_eq!(scan.responses().dim(), (12, 7));
//! assert_eq!(scan.trials_in(Tier::Train).len(), 5);
//! assert_eq!(scan.repeats().len(), 2, "two oracle images");
//!
//! let reliability = reliability(&scan)?;
//! assert_eq!(reliability.w.len(), 7);
//! assert_eq!(scan.repeat_means().ids().len(), 2);
//! # Ok::<(), brainprior_recording::Error>(())
//! ```
//!
//! HDF5 allows one call at a time: files are read whole, and only then is anything computed in parallel. The library that
//! reads and writes it is built from C, and is the default feature `hdf5`: without it there are no static HDF5 files, and none
//! of responses or of a simulation's truth.

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
pub use format::{Notes, distinct_images, list_sensorium, read_scan, read_scan_with_notes, write_sensorium};
pub use neurons::Neurons;
pub use reliability::{Reliability, median, reliability};
pub use responses::{Fitting, Measurement, ResponseKind, Responses};
pub use scan::{Origin, Scan, ScanParts};
pub use tier::Tier;
