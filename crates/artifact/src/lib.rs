//! Files, and no science: what the other crates share when they write or read a file.
//!
//! - [`replace`] puts a file or a folder into place whole or not at all, whatever kills the writer, with the permissions that
//!   the umask gives.
//! - [`archive`] keeps tensors with one JSON header in a safetensors file; [`json`] keeps a value.
//! - [`identity`] says what an artifact was made from, and the first thing in which two such descriptions differ; [`hash`]
//!   tells contents apart.
//! - `hdf5`, with the feature of that name, reads HDF5 files as labs have them, and says what a file [holds](Entry).
//! - [`npy`] reads and writes arrays of NumPy.
//! - [`pickle`] reads Python's pickles as data, and calls nothing that they name.
//! - [`unpacked`] says how much may come out of a file.
//! - [`lock`] keeps a second process out, and warns and goes on where the file system has no locks.
//! - [`FileError`] names the file, what was done, what was expected and found, and what to do; each crate's error embeds it.
//!
//! ```
//! use brainprior_artifact::{FileError, archive, identity::Identity, json, lock, replace};
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//!
//! // One process at a time works in the folder.
//! let _lock = lock::take(&folder.join("work.lock"))?;
//!
//! // A file that a library writes by its name, and one whose bytes are at hand.
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
//! // An error says what to do.
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
