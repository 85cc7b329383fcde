//! What can be wrong with a recording.

use brainprior_artifact::FileError;
use brainprior_images::ImageId;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written, or does not have the layout that its kind has.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file whose content makes no valid scan or responses.
    #[error("{path}: {problem}")]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<Error>,
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
    /// A value that is infinite or not a number.
    #[error("{what}: row {row}, column {column}: expected a finite number, found {found}; leave that row out of the file")]
    NotFinite {
        /// The array.
        what: &'static str,
        /// The trial or image.
        row: usize,
        /// The neuron or quantity.
        column: usize,
        /// The value.
        found: f32,
    },
    /// A pixel outside its range, or not a number.
    #[error(
        "images: row {row}, pixel {pixel}: expected a value in [0, {white}], found {found}; rescale the images, or state the range \
         where none is: attribute `range` of images, or meta/image_range.npy of a tree, [0, 1] or [0, 255]; a tenth beyond it is clipped"
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
    /// Pixels of which it is in doubt what white is.
    #[error(
        "images: expected pixels from 0 to 1 or from 0 to 255, found a largest one of {found}; state the range: attribute `range` of \
         images, or meta/image_range.npy of a tree, [0, 1] or [0, 255]; a tenth beyond it is clipped"
    )]
    PixelRange {
        /// The largest value.
        found: f32,
    },
    /// A response that is infinite or not a number.
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
    /// A trial of an image that does not exist.
    #[error("trial {trial} names image {found}, expected 0 to {}", .images.saturating_sub(1))]
    Image {
        /// The trial.
        trial: usize,
        /// The index it names.
        found: usize,
        /// How many images there are.
        images: usize,
    },
    /// One number for two images.
    #[error("images {first} and {second} have the same label {label}; give distinct images distinct labels, or none")]
    Label {
        /// The number.
        label: i64,
        /// An image.
        first: usize,
        /// Another image.
        second: usize,
    },
    /// A tier of another name than the known ones.
    #[error(
        "tiers: row {row}: expected train, validation, test, final_test or test_mei, found {found:?}; rename it, or leave that row out"
    )]
    Tier {
        /// The trial.
        row: usize,
        /// The name.
        found: String,
    },
    /// One image in two tiers, which would let a model be tested on what it was trained on.
    #[error(
        "image {image} is in tier {first_tier} (row {first_row}) and in tier {second_tier} (row {second_row}); \
         give all its rows one tier, or leave some out"
    )]
    TwoTiers {
        /// The image.
        image: ImageId,
        /// A trial of it.
        first_row: usize,
        /// The tier of that trial.
        first_tier: &'static str,
        /// Another trial of it.
        second_row: usize,
        /// The tier of that trial.
        second_tier: &'static str,
    },
    /// Two rows with one image identifier and different pixels.
    #[error(
        "{dataset}: rows {first_row} and {second_row} have the same identifier ({id}) and different pixels; \
         repeats are told by content here and by identifier elsewhere, so correct the identifiers or the images"
    )]
    Identifier {
        /// The dataset that holds the identifiers.
        dataset: String,
        /// A row.
        first_row: usize,
        /// Another row.
        second_row: usize,
        /// Their common identifier.
        id: String,
    },
    /// Fewer than two images were shown more than once in the test tier.
    #[error(
        "scan {scan}: expected two images or more with repeats in tier test, found {repeated} (among {test_trials} test \
         rows); reliability needs repeats, so give the rows of the repeated images tier test"
    )]
    NoRepeats {
        /// Name of the scan.
        scan: String,
        /// How many images have repeats.
        repeated: usize,
        /// How many trials its test tier has.
        test_trials: usize,
    },
    /// An image that is not there.
    #[error("responses of scan {scan} hold no image {id}")]
    MissingImage {
        /// Name of the scan.
        scan: String,
        /// The image looked for.
        id: ImageId,
    },
    /// An image given twice.
    #[error("rows {first} and {second} are both image {id}; responses hold one row for each image")]
    Duplicate {
        /// A row.
        first: usize,
        /// Another row.
        second: usize,
        /// The image of both.
        id: ImageId,
    },
    /// A simulation that cannot be made.
    #[error("simulation: {what}: expected {expected}, found {found}")]
    Simulation {
        /// The number or set at fault.
        what: &'static str,
        /// What would do.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Stimuli that are no valid images.
    #[error(transparent)]
    Images(#[from] brainprior_images::Error),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// This error about rows of which others were left out, with their numbers in the file: `kept` are those that were not.
    pub(crate) fn in_rows(mut self, kept: &[usize]) -> Self {
        match &mut self {
            Self::NotFinite { what: "behavior" | "pupil_center", row, .. }
            | Self::Pixel { row, .. }
            | Self::Response { row, .. }
            | Self::Tier { row, .. } => *row = kept[*row],
            Self::TwoTiers { first_row, second_row, .. } | Self::Identifier { first_row, second_row, .. } => {
                (*first_row, *second_row) = (kept[*first_row], kept[*second_row]);
            }
            _ => {}
        }
        self
    }

    /// This error, with the file in which it was found.
    pub(crate) fn inside(self, path: &Path) -> Self {
        Self::Content { path: path.to_owned(), problem: Box::new(self) }
    }
}
