//! What can be wrong with similarities.

use brainprior_artifact::FileError;
use brainprior_images::ImageId;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written, or does not have the layout that its kind has.
    #[error(transparent)]
    File(#[from] FileError),
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
    #[error("`{source_name}`: all {neurons} neurons have weight 0, so no image has a population vector; check the reliabilities")]
    NoNeurons {
        /// How many there are.
        neurons: usize,
        /// Where the vectors come from.
        source_name: String,
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
        "image {first} occurs in {first_scans}, image {second} in {second_scans}: no scan has both, so their similarity is \
         unknown; ask for the images of every scan, or select those of one"
    )]
    NoCommonScan {
        /// One image.
        first: ImageId,
        /// The scans that have it.
        first_scans: String,
        /// The other.
        second: ImageId,
        /// The scans that have that.
        second_scans: String,
    },
    /// Scans that show other images, where the same were asked for.
    #[error(
        "scan {first} has {first_images} images, scan {second} has {second_images}, and they share {shared} (image {example} is \
         in one of them only); average over the images of every scan, or over those of any scan and count the scans of each"
    )]
    DifferentImages {
        /// One scan.
        first: String,
        /// Its images.
        first_images: usize,
        /// The other.
        second: String,
        /// Its images.
        second_images: usize,
        /// Images of both.
        shared: usize,
        /// An image that one of them lacks.
        example: ImageId,
    },
    /// Scans that have no two images in common.
    #[error(
        "fewer than two images ({shared}) are in every one of the scans {scans}; images are matched by content, so that a \
         rescaled or re-encoded image is another one: check that the scans were shown the same files"
    )]
    NoSharedImages {
        /// Their names.
        scans: String,
        /// Images that all have.
        shared: usize,
    },
    /// More pairs above a threshold than asked for.
    #[error("more than {limit} pairs have a similarity of at least {threshold}; raise the threshold or the limit")]
    TooManyPairs {
        /// The threshold.
        threshold: f32,
        /// The most pairs to be kept.
        limit: usize,
    },
    /// The system does not give the memory for vectors.
    #[error("could not reserve {:.1} GB for vectors of images: {source}; let a sweep use less memory", *bytes as f64 / 1e9)]
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
        /// What the system says.
        source: std::io::Error,
    },
    /// A matrix that memory cannot hold.
    #[error(
        "the similarities of {images} images take {:.1} GB, {:.1} GB of memory are free; write them to a file in bands, or keep \
         neighbours, a sample of pairs or a histogram instead", *bytes as f64 / 1e9, *free as f64 / 1e9
    )]
    TooLarge {
        /// Images of the matrix.
        images: usize,
        /// Bytes that it would take.
        bytes: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A network that cannot be applied to images of this size.
    #[error("{network} on images of {height} x {width}: {source}")]
    Network {
        /// The network.
        network: String,
        /// Rows of the images.
        height: usize,
        /// Columns of the images.
        width: usize,
        /// What candle said.
        source: Box<candle_core::Error>,
    },
    /// Vector instructions that the environment asks for and this processor does not have.
    #[error(transparent)]
    Kernels(#[from] brainprior_kernels::Error),
    /// Responses lack an image, or do not fit together.
    #[error(transparent)]
    Responses(#[from] brainprior_recording::Error),
    /// Images that make no set of stimuli.
    #[error(transparent)]
    Stimuli(#[from] brainprior_images::Error),
    /// A device that refused, most often for want of memory.
    #[error("the similarities of {images} images in {dimensions} dimensions on a device: {source}; the host needs no device")]
    Device {
        /// Images of the matrix.
        images: usize,
        /// Dimensions of the vectors.
        dimensions: usize,
        /// What candle said.
        source: Box<candle_core::Error>,
    },
    /// A checkpoint that cannot be gone on from.
    #[error("{path}: expected a checkpoint of this sweep, found {found}; remove the file to begin anew")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// The observer of a sweep asked for it to stop.
    #[error("stopped after {pairs} of {total} pairs")]
    Stopped {
        /// Pairs that were merged.
        pairs: u64,
        /// All pairs.
        total: u64,
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
