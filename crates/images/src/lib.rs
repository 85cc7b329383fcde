#![doc = include_str!("../README.md")]
//!
//! A stimulus is identified by its content ([`ImageId`]), so scans that showed the same images can
//! be matched whatever their files are called. Pixels are f32 in [0, 1] at every interface; labeled
//! sets keep their bytes.
//!
//! Sets come from files ([`read_labeled`]: CIFAR-10, CIFAR-100, folders of pictures, safetensors)
//! or are generated ([`procedural`]), so that the whole pipeline runs without a download.

pub mod augmentation;
mod error;
mod files;
mod identity;
mod labeled;
mod picture;
pub mod procedural;
mod stimuli;

pub use error::{Error, Result};
pub use files::{CorruptedFamily, is_in_mean, read_corrupted, read_labeled, write_labeled};
pub use identity::ImageId;
pub use labeled::{LabeledImages, LabeledSplit};
pub use picture::{Picture, by_number, is_picture};
pub use stimuli::StimulusSet;
