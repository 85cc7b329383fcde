//! The error of this crate.

use brainprior_artifact::FileError;
use brainprior_images::ImageId;
use std::path::{Path, PathBuf};

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written, or does not have the layout of its kind.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content of a file is not a valid scan or valid responses.
    #[error("{path}: {problem}")]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// The error in its content.
        problem: Box<Error>,
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
    /// A value is infinite or NaN.
    #[error(
        "{what}: row {row}, column {column}: expected a finite number, found {found}; leave that row out of the file"
    )]
    NotFinite {
        /// The array.
        what: &'static str,
        /// The row: a trial or image.
        row: usize,
        /// The column: a neuron or signal.
        column: usize,
        /// The value.
        found: f32,
    },
    /// A pixel is NaN or out of range.
    #[error(
        "images: row {row}, pixel {pixel}: expected a value in [0, {white}], found {found}; rescale the images, or state the range if \
         the file does not: attribute `range` of images, or meta/image_range.npy of a tree, [0, 1] or [0, 255]; pixels outside it by up \
         to a tenth are clipped"
    )]
    Pixel {
        /// The trial.
        row: usize,
        /// Index of the pixel, row-major.
        pixel: usize,
        /// The value.
        found: f32,
        /// The value of white.
        white: f32,
    },
    /// The range of the pixels is ambiguous.
    #[error(
        "images: expected pixels from 0 to 1 or from 0 to 255, found a maximum of {found}; state the range: attribute `range` of \
         images, or meta/image_range.npy of a tree, [0, 1] or [0, 255]; pixels outside it by up to a tenth are clipped"
    )]
    PixelRange {
        /// The largest pixel.
        found: f32,
    },
    /// A response is infinite or NaN.
    #[error(
        "responses: row {row}, neuron {neuron} (unit {unit}): expected a finite number, found {found}; leave that row or that neuron out"
    )]
    Response {
        /// The trial.
        row: usize,
        /// Index of the neuron.
        neuron: usize,
        /// Unit identifier of the neuron.
        unit: i64,
        /// The value.
        found: f32,
    },
    /// A trial names an image that does not exist.
    #[error("trial {trial} names image {found}, expected 0 to {}", .images.saturating_sub(1))]
    Image {
        /// The trial.
        trial: usize,
        /// The image index it names.
        found: usize,
        /// The number of images.
        images: usize,
    },
    /// Two images have the same label.
    #[error(
        "images {first} and {second} have the same label {label}; give distinct images distinct labels, or none"
    )]
    Label {
        /// The label.
        label: i64,
        /// The first image.
        first: usize,
        /// The second image.
        second: usize,
    },
    /// A tier has an unknown name.
    #[error(
        "tiers: row {row}: expected train, validation, test, final_test or test_mei, found {found:?}; rename it, or leave that row out"
    )]
    Tier {
        /// The trial.
        row: usize,
        /// The name of the tier.
        found: String,
    },
    /// An image is in two tiers, so a model could be tested on images it was trained on.
    #[error(
        "image {image} is in tier {first_tier} (row {first_row}) and in tier {second_tier} (row {second_row}); \
         give all its rows the same tier, or leave some out"
    )]
    TwoTiers {
        /// The image.
        image: ImageId,
        /// A trial of the image in the first tier.
        first_row: usize,
        /// The first tier.
        first_tier: &'static str,
        /// A trial of the image in the second tier.
        second_row: usize,
        /// The second tier.
        second_tier: &'static str,
    },
    /// Two rows have the same image identifier but different pixels.
    #[error(
        "{dataset}: rows {first_row} and {second_row} have the same identifier ({id}) and different pixels; \
         repeats are matched by content here and by identifier elsewhere, so correct the identifiers or the images"
    )]
    Identifier {
        /// The dataset that holds the identifiers.
        dataset: String,
        /// The first row.
        first_row: usize,
        /// The second row.
        second_row: usize,
        /// Their common identifier.
        id: String,
    },
    /// Fewer than two images have repeats in the test tier.
    #[error(
        "scan {scan}: expected two images or more with repeats in tier test, found {repeated} (among {test_trials} test \
         rows); reliability needs repeats, so set the tier of the repeated images to test"
    )]
    NoRepeats {
        /// Name of the scan.
        scan: String,
        /// The number of images with repeats.
        repeated: usize,
        /// The number of trials in the test tier.
        test_trials: usize,
    },
    /// An image is missing.
    #[error("the responses of scan {scan} do not contain image {id}")]
    MissingImage {
        /// Name of the scan.
        scan: String,
        /// The missing image.
        id: ImageId,
    },
    /// An image occurs twice.
    #[error("rows {first} and {second} are both image {id}; responses have one row per image")]
    Duplicate {
        /// The first row.
        first: usize,
        /// The second row.
        second: usize,
        /// The image of both rows.
        id: ImageId,
    },
    /// A simulation is impossible.
    #[error("simulation: {what}: expected {expected}, found {found}")]
    Simulation {
        /// The parameter or image set at fault.
        what: &'static str,
        /// The expected value.
        expected: String,
        /// The actual value.
        found: String,
    },
    /// Stimuli are not valid images.
    #[error(transparent)]
    Images(#[from] brainprior_images::Error),
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Converts an error about filtered rows to row numbers of the file; `kept` are the numbers of
    /// the rows that remained.
    pub(crate) fn in_rows(mut self, kept: &[usize]) -> Self {
        match &mut self {
            Self::NotFinite { what: "behavior" | "pupil_center", row, .. }
            | Self::Pixel { row, .. }
            | Self::Response { row, .. }
            | Self::Tier { row, .. } => *row = kept[*row],
            Self::TwoTiers { first_row, second_row, .. }
            | Self::Identifier { first_row, second_row, .. } => {
                (*first_row, *second_row) = (kept[*first_row], kept[*second_row]);
            }
            _ => {}
        }
        self
    }

    /// Adds the file in which the error was found.
    pub(crate) fn inside(self, path: &Path) -> Self {
        Self::Content { path: path.to_owned(), problem: Box::new(self) }
    }
}
