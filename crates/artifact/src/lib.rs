#![doc = include_str!("../README.md")]
//!
//! - [`replace`] replaces files and folders atomically, even if the writer is killed, with the
//!   permissions of the umask.
//! - [`archive`] stores tensors with one JSON header in a safetensors file; [`json`] stores a
//!   value.
//! - [`identity`] records what an artifact was made from and finds the first difference between two
//!   records; [`hash`] computes SHA-256.
//! - `hdf5` (feature `hdf5`) reads the HDF5 files that labs have, and [lists](Entry) their
//!   datasets.
//! - [`npy`] reads and writes NumPy arrays.
//! - [`pickle`] reads Python pickles as data, without calling any function they name.
//! - [`unpacked`] limits how much a file may decompress to.
//! - [`lock`] excludes other processes; on file systems without locks it warns and continues.
//! - [`FileError`] names the file, the operation, what was expected and found, and what to do. Each
//!   crate's error embeds it.
#![deny(unsafe_code)]

pub mod archive;
mod entry;
mod error;
pub mod hash;
#[cfg(feature = "hdf5")]
pub mod hdf5;
pub mod identity;
pub mod json;
pub mod lock;
pub mod npy;
pub mod pickle;
pub mod replace;
mod signature;
pub mod unpacked;

pub use entry::Entry;
pub use error::{FileError, Result};
pub use signature::is_hdf5;
