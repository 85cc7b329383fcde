//! The error of this crate.

use brainprior_artifact::FileError;
use brainprior_images::ImageId;
use std::path::PathBuf;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written, or does not have the layout of its kind.
    #[error(transparent)]
    File(#[from] FileError),
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
    /// A response is NaN or infinite.
    #[error(
        "image {image} ({id}), neuron {neuron}: expected a finite value, found {found}; exclude the neuron or the image"
    )]
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
    /// A weight or reliability is not usable.
    #[error(
        "neuron {neuron}: expected {expected}, found {found}; use weight 0 to leave out a neuron"
    )]
    Weight {
        /// Column of the neuron.
        neuron: usize,
        /// The expected value.
        expected: &'static str,
        /// The value.
        found: f32,
    },
    /// All neurons have weight 0.
    #[error(
        "`{source_name}`: all {neurons} neurons have weight 0, so no image has a population vector; check the reliabilities"
    )]
    NoNeurons {
        /// Number of neurons.
        neurons: usize,
        /// The source of the vectors.
        source_name: String,
    },
    /// A population vector is zero after centering over images, so it has no direction.
    #[error(
        "image {image} ({id}) of `{source_name}`: its weighted, centered population vector is zero; leave out the image"
    )]
    ZeroVector {
        /// Row of the image.
        image: usize,
        /// Its identity.
        id: ImageId,
        /// The source of the vectors.
        source_name: String,
    },
    /// A similarity is NaN or outside [-1, 1].
    #[error("images {first} and {second}: expected a similarity in [-1, 1], found {found}")]
    Similarity {
        /// Index of the first image.
        first: usize,
        /// Index of the second image.
        second: usize,
        /// The value.
        found: f32,
    },
    /// An image is given twice.
    #[error("images {first} and {second} are the same ({id}); give each image a single row")]
    Duplicate {
        /// Index of the first occurrence.
        first: usize,
        /// Index of the second occurrence.
        second: usize,
        /// Their identity.
        id: ImageId,
    },
    /// An image is missing in a matrix.
    #[error(
        "image {id} is not among the {images} images of {matrix}; select the images that both have"
    )]
    MissingImage {
        /// The image.
        id: ImageId,
        /// Number of images in the matrix.
        images: usize,
        /// The matrix.
        matrix: &'static str,
    },
    /// No scan has both images of a pair.
    #[error(
        "image {first} occurs in {first_scans}, image {second} in {second_scans}: no scan has both, so their similarity is \
         unknown; ask for the images of every scan, or select those of one"
    )]
    NoCommonScan {
        /// The first image.
        first: ImageId,
        /// The scans that have the first image.
        first_scans: String,
        /// The second image.
        second: ImageId,
        /// The scans that have the second image.
        second_scans: String,
    },
    /// Scans have different images where the same were required.
    #[error(
        "scan {first} has {first_images} images, scan {second} has {second_images}, and they share {shared} (image {example} is \
         in one of them only); average over the images that every scan has, or over those that any scan has and count the scans of each"
    )]
    DifferentImages {
        /// The first scan.
        first: String,
        /// Number of its images.
        first_images: usize,
        /// The second scan.
        second: String,
        /// Number of its images.
        second_images: usize,
        /// Number of images in both.
        shared: usize,
        /// An image that one of them lacks.
        example: ImageId,
    },
    /// Scans share fewer than two images.
    #[error(
        "fewer than two images ({shared}) are in every one of the scans {scans}; images are matched by content, so a \
         rescaled or re-encoded image is a different image: check that the scans showed the same files"
    )]
    NoSharedImages {
        /// Names of the scans.
        scans: String,
        /// Number of images in all of them.
        shared: usize,
    },
    /// More pairs are above a threshold than allowed.
    #[error(
        "more than {limit} pairs have a similarity of at least {threshold}; raise the threshold or the limit"
    )]
    TooManyPairs {
        /// The threshold.
        threshold: f32,
        /// The largest number of pairs.
        limit: usize,
    },
    /// The system cannot provide the memory for vectors.
    #[error("could not reserve {:.1} GB for the vectors of images: {source}; limit the memory of the sweep", *bytes as f64 / 1e9)]
    Memory {
        /// The requested number of bytes.
        bytes: usize,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A matrix does not fit into memory.
    #[error(
        "the similarities of {images} images need {:.1} GB, but {:.1} GB of memory are free; write them to a file in bands, or keep \
         neighbors, a sample of pairs or a histogram instead", *bytes as f64 / 1e9, *free as f64 / 1e9
    )]
    TooLarge {
        /// Number of images of the matrix.
        images: usize,
        /// The bytes that it needs.
        bytes: u64,
        /// The bytes that are free.
        free: u64,
    },
    /// A network cannot be applied to images of this size.
    #[error("{network} on images of {height} x {width}: {source}")]
    Network {
        /// The network.
        network: String,
        /// Rows of the images.
        height: usize,
        /// Columns of the images.
        width: usize,
        /// The error of candle.
        source: Box<candle_core::Error>,
    },
    /// The environment selects vector instructions that this processor does not have.
    #[error(transparent)]
    Kernels(#[from] brainprior_kernels::Error),
    /// Responses lack an image or are inconsistent.
    #[error(transparent)]
    Responses(#[from] brainprior_recording::Error),
    /// Images do not form a stimulus set.
    #[error(transparent)]
    Stimuli(#[from] brainprior_images::Error),
    /// A device failed, usually because it ran out of memory.
    #[error(
        "the similarities of {images} images in {dimensions} dimensions on a device: {source}; compute them without a device"
    )]
    Device {
        /// Number of images of the matrix.
        images: usize,
        /// Number of dimensions of the vectors.
        dimensions: usize,
        /// The error of candle.
        source: Box<candle_core::Error>,
    },
    /// A checkpoint cannot be resumed.
    #[error(
        "{path}: expected a checkpoint of this sweep, found {found}; remove the file to start over"
    )]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What was found in the file.
        found: String,
    },
    /// The observer stopped the sweep.
    #[error("stopped after {pairs} of {total} pairs")]
    Stopped {
        /// Number of merged pairs.
        pairs: u64,
        /// Number of all pairs.
        total: u64,
    },
    /// A correlation is undefined because one side does not vary.
    #[error(
        "the {which} matrix has the same similarity for all {pairs} pairs, so a correlation with it is undefined"
    )]
    Constant {
        /// `first` or `second`.
        which: &'static str,
        /// Number of pairs.
        pairs: usize,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
