//! What can be wrong with similarities.

use brainprior_images::ImageId;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {doing}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The HDF5 library refused.
    #[error("{path}: {doing} {dataset}: {source}")]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The dataset or attribute, `/` for the file itself.
        dataset: &'static str,
        /// What the HDF5 library said.
        source: hdf5::Error,
    },
    /// A file does not have the layout of `data-specs/similarity.toml`.
    #[error("{path}: {dataset}: expected {expected}, found {found}; compute the similarities again")]
    Layout {
        /// The file.
        path: PathBuf,
        /// The dataset or attribute.
        dataset: &'static str,
        /// What the spec asks for.
        expected: String,
        /// What is there.
        found: String,
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
    /// A response that is not a number, or infinite.
    #[error("image {image} ({id}), neuron {neuron}: expected a finite value, found {found}; exclude the neuron or the image")]
    Value {
        /// Row of the image.
        image: usize,
        /// Its identity.
        id: ImageId,
        /// Column of the neuron.
        neuron: usize,
        /// The value.
        found: f32,
    },
    /// A weight or reliability that cannot be used.
    #[error("neuron {neuron}: expected {expected}, found {found}; a neuron to be left out has weight 0")]
    Weight {
        /// Column of the neuron.
        neuron: usize,
        /// What was asked for.
        expected: &'static str,
        /// The value.
        found: f32,
    },
    /// No neuron is left after weighting.
    #[error("all {neurons} neurons have weight 0, so no image has a population vector; check the reliabilities")]
    NoNeurons {
        /// How many there are.
        neurons: usize,
    },
    /// A population vector that is zero once the mean over images is taken away, which has no direction.
    #[error("image {image} ({id}) of `{source_name}`: its weighted, centred population vector is zero; leave the image out")]
    ZeroVector {
        /// Row of the image.
        image: usize,
        /// Its identity.
        id: ImageId,
        /// Where the vectors come from.
        source_name: String,
    },
    /// A similarity outside [-1, 1], or not a number.
    #[error("images {first} and {second}: expected a similarity in [-1, 1], found {found}")]
    Similarity {
        /// Index of one image.
        first: usize,
        /// Index of the other.
        second: usize,
        /// The value.
        found: f32,
    },
    /// An image given twice.
    #[error("images {first} and {second} are the same ({id}); every image has one row")]
    Duplicate {
        /// Index of one.
        first: usize,
        /// Index of the other.
        second: usize,
        /// Their identity.
        id: ImageId,
    },
    /// An image that a matrix does not have.
    #[error("image {id} is not among the {images} images of {matrix}; select the images that both have")]
    MissingImage {
        /// The image.
        id: ImageId,
        /// How many images the matrix has.
        images: usize,
        /// Which matrix.
        matrix: &'static str,
    },
    /// Two images that no scan showed together.
    #[error(
        "images {first} and {second} occur in no common scan, so their similarity is unknown; select the images of a single scan first"
    )]
    NoCommonScan {
        /// One image.
        first: ImageId,
        /// The other.
        second: ImageId,
    },
    /// A correlation with values that do not vary.
    #[error("the {which} matrix has the same similarity for all {pairs} pairs, so a correlation with it is undefined")]
    Constant {
        /// `first` or `second`.
        which: &'static str,
        /// How many pairs there are.
        pairs: usize,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
