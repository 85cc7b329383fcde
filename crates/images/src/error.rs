//! The error of this crate.

use crate::ImageId;
use brainprior_artifact::FileError;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written, or does not have the layout of its kind.
    #[error(transparent)]
    File(#[from] FileError),
    /// A pixel is NaN or outside [0, 1].
    #[error(
        "image {image}, pixel {pixel}: expected a value in [0, 1], found {found}; divide 8-bit pixels by 255"
    )]
    Pixel {
        /// Index of the image.
        image: usize,
        /// Index of the pixel, row-major.
        pixel: usize,
        /// The value.
        found: f32,
    },
    /// Sizes do not match.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// The quantity that has this size.
        what: &'static str,
        /// The expected size.
        expected: String,
        /// The actual size.
        found: String,
    },
    /// Two images of one set have the same content.
    #[error(
        "images {first} and {second} have the same content ({id}); a stimulus set holds distinct images"
    )]
    Duplicate {
        /// Index of the first image.
        first: usize,
        /// Index of the second image.
        second: usize,
        /// Their common identity.
        id: ImageId,
    },
    /// A label is beyond the last class.
    #[error("record {record}: label {found}, expected 0 to {}", .classes - 1)]
    Label {
        /// Index of the image.
        record: usize,
        /// The label.
        found: u8,
        /// Number of classes.
        classes: usize,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
