//! Images on both sides of the chain: the stimuli that a mouse saw, and the labelled images that a classifier learns.
//!
//! A stimulus is known by its content ([`ImageId`]), so that scans that showed the same images can be matched whatever
//! their files call them. Pixels are f32 in [0, 1] at every boundary; labelled sets keep their bytes.

pub mod augmentation;
mod error;
mod files;
mod identity;
mod labelled;
mod stimuli;

pub use error::{Error, Result};
pub use files::{read_labelled, write_labelled};
pub use identity::ImageId;
pub use labelled::{LabelledImages, LabelledSplit};
pub use stimuli::StimulusSet;
