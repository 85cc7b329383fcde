//! What can be wrong with images.

use crate::ImageId;
use brainprior_artifact::FileError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written, or does not have the layout that its kind has.
    #[error(transparent)]
    File(#[from] FileError),
    /// A pixel outside [0, 1], or not a number.
    #[error("image {image}, pixel {pixel}: expected a value in [0, 1], found {found}; divide 8-bit pixels by 255")]
    Pixel {
        /// Index of the image.
        image: usize,
        /// Index of the pixel, row-major.
        pixel: usize,
        /// The value.
        found: f32,
    },
    /// Sizes that do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// What has the size.
        what: &'static str,
        /// The size asked for.
        expected: String,
        /// The size given.
        found: String,
    },
    /// Two images of one set have the same content.
    #[error("images {first} and {second} have the same content ({id}); a stimulus set holds distinct images")]
    Duplicate {
        /// Index of one.
        first: usize,
        /// Index of the other.
        second: usize,
        /// Their common identity.
        id: ImageId,
    },
    /// A label that no class has.
    #[error("record {record}: label {found}, expected 0 to {}", .classes - 1)]
    Label {
        /// Index of the image.
        record: usize,
        /// The label.
        found: u8,
        /// How many classes there are.
        classes: usize,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
