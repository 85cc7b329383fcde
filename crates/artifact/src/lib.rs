//! File handling shared by the other crates. Nothing here is specific to neuroscience.
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
//!
//! ```
//! use brainprior_artifact::{FileError, archive, identity::Identity, json, lock, replace};
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//!
//! // Only one process at a time works in this folder.
//! let _lock = lock::take(&folder.join("work.lock"))?;
//!
//! // One file is written by a library, given its path; the other from bytes in memory.
//! replace::file(&folder.join("notes.txt"), |temporary| {
//!     std::fs::write(temporary, "first line\n").map_err(FileError::refused(temporary, "write"))
//! })?;
//! replace::bytes(&folder.join("notes.txt"), b"another line\n")?;
//!
//! // Tensors with a header.
//! let path = folder.join("weights.safetensors");
//! let identity = Identity::new(&serde_json::json!({ "layers": 3 }), 7).input("images", "a1b2");
//! let weights: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
//! let view = archive::TensorView::new(archive::Dtype::F32, vec![2], &weights).unwrap();
//! archive::write(&path, &identity, [("weights", view)])?;
//!
//! let file = archive::Archive::read(&path, "train again")?;
//! assert_eq!(file.values::<f32>("weights", &[2])?, [1.0, 2.0]);
//! let wanted = Identity::new(&serde_json::json!({ "layers": 4 }), 7).input("images", "a1b2");
//! let difference = wanted.first_difference(&file.header()?).unwrap();
//! assert_eq!(difference.to_string(), "setting layers: expected 4, found 3");
//!
//! // The error says what to do.
//! let error = file.values::<f32>("weights", &[3]).unwrap_err();
//! assert!(error.to_string().ends_with("weights: expected F32 [3], found F32 [2]; train again"));
//! json::write(&folder.join("sizes.json"), &[1, 2, 3])?;
//! assert_eq!(json::read::<Vec<u32>>(&folder.join("sizes.json"))?, [1, 2, 3]);
//! # Ok::<(), FileError>(())
//! ```
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
