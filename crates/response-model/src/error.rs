//! What can go wrong between a scan and its model, and what to do about it.

use std::path::PathBuf;

use brainprior_artifact::FileError;
use brainprior_artifact::identity::Difference;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No scan was given to fit.
    #[error("a response model needs at least one scan; none was given")]
    NoScans,

    /// An ensemble of nothing.
    #[error("an ensemble needs at least one model; none was given")]
    NoModels,

    /// A value of the configuration lies outside of its range.
    #[error("response model configuration: `{key}` is {found}, expected {expected}")]
    Configuration {
        /// Key within the configuration, dotted.
        key: &'static str,
        /// The value found.
        found: String,
        /// The range expected.
        expected: &'static str,
    },

    /// The scans of one fit show images of different sizes.
    #[error(
        "scan `{scan}` shows images of {found_height} x {found_width}, the first scan {expected_height} x {expected_width} \
         (height x width); one core needs one size: resample the images, or fit the scans apart"
    )]
    ImageSize {
        /// Name of the scan, or of what was to be predicted.
        scan: String,
        /// Height expected, pixels.
        expected_height: usize,
        /// Width expected, pixels.
        expected_width: usize,
        /// Height found, pixels.
        found_height: usize,
        /// Width found, pixels.
        found_width: usize,
    },

    /// An image to be predicted has another number of pixels.
    #[error(
        "an image of {found} pixels was given to a model of {height} x {width} pixels (height x width); resample it to that size"
    )]
    Pixels {
        /// Height of the model's images.
        height: usize,
        /// Width of the model's images.
        width: usize,
        /// Pixels found.
        found: usize,
    },

    /// A behavioural state that does not fit the scan.
    #[error(
        "the behavioural state {found:?} does not fit scan `{scan}`, whose behaviour has {columns} columns; give one finite value for \
         each, in the scan's units, or none for the mean of training"
    )]
    Behavior {
        /// Name of the scan.
        scan: String,
        /// Columns that the scan's model has.
        columns: usize,
        /// What was given.
        found: Vec<f32>,
    },

    /// A tier that the fit or the metrics need has too few trials.
    #[error(
        "scan `{scan}` has {found} trials of tier `{tier}`, expected at least {expected}; \
         mark more rows of the scan's `tiers` as `{tier}`"
    )]
    TooFewTrials {
        /// Name of the scan.
        scan: String,
        /// Name of the tier.
        tier: &'static str,
        /// Trials found.
        found: usize,
        /// Trials needed.
        expected: usize,
    },

    /// Hardly any trial of a scan's training tier shows an image that validates in no other scan of the fit.
    #[error(
        "scan `{scan}`: {left_out} of its {trials} trials of tier `train` show images that another scan of the fit validates on, and an \
         image that validates in any scan trains in none, so that fewer than 2 are left; give the scans `tiers` that agree on which \
         images validate"
    )]
    ValidateElsewhere {
        /// Name of the scan.
        scan: String,
        /// Trials of its training tier.
        trials: usize,
        /// Those whose images validate in another scan.
        left_out: usize,
    },

    /// The positions come from cortex, and the scan does not say where its neurons lie.
    #[error(
        "scan `{scan}` has no coordinates of its neurons, which `readout.positions = \"cortical\"` predicts receptive fields from; \
         set `readout.positions = \"located\"`, or write the dataset `neurons/cell_motor_coordinates`"
    )]
    NoCoordinates {
        /// Name of the scan.
        scan: String,
    },

    /// Negative responses, which no loss but the Gaussian can explain.
    #[error(
        "scan `{scan}`: {count} of {total} responses are negative (first: {value} at trial {trial}, neuron {neuron}); all losses \
         but `gaussian` expect counts or rates >= 0. Set `loss.rectify_negative = true` (in a pipeline `response.loss.rectify_negative`) to take them as 0, or write the scan with \
         deconvolved (non-negative) activity"
    )]
    NegativeResponses {
        /// Name of the scan.
        scan: String,
        /// How many are negative, over the trials of all tiers.
        count: usize,
        /// How many there are.
        total: usize,
        /// Row of the first.
        trial: usize,
        /// Column of the first.
        neuron: usize,
        /// The first.
        value: f32,
    },

    /// Not one neuron of the scan varies over its training trials.
    #[error("scan `{scan}`: none of its {neurons} neurons varies over the {trials} training trials, so there is nothing to fit")]
    NothingVaries {
        /// Name of the scan.
        scan: String,
        /// Neurons of the scan.
        neurons: usize,
        /// Training trials of the scan.
        trials: usize,
    },

    /// The loss stopped being a finite number.
    #[error(
        "the training loss is {loss} in epoch {epoch}, step {step}; lower `optimization.learning_rate` (now {learning_rate}) or \
         `optimization.gradient_clip`"
    )]
    Diverged {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Step within the epoch, counted from 0.
        step: usize,
        /// The loss.
        loss: f32,
        /// Learning rate at that step.
        learning_rate: f64,
    },

    /// The model has no scan of that number.
    #[error("scan {index} asked of a response model of {len} scans (counted from 0)")]
    NoSuchScan {
        /// The number asked for.
        index: usize,
        /// Scans of the model.
        len: usize,
    },

    /// A scan does not belong to this part of the model.
    #[error("{what} of scan `{scan}`: found {found}, the model was fitted with {expected}; give the scan that was fitted")]
    ScanMismatch {
        /// Name of the scan.
        scan: String,
        /// What differs.
        what: &'static str,
        /// What the model has.
        expected: String,
        /// What the scan has.
        found: String,
    },

    /// A trial number beyond the scan.
    #[error("trial {trial} asked of scan `{scan}`, which has {trials} (counted from 0)")]
    NoSuchTrial {
        /// Name of the scan.
        scan: String,
        /// The trial asked for.
        trial: usize,
        /// Trials of the scan.
        trials: usize,
    },

    /// A model or checkpoint file cannot be read or written, or is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),

    /// A checkpoint of another fit lies where this fit would resume.
    #[error("{path} is the checkpoint of another fit: {difference}; delete it to start afresh, or give another path")]
    ForeignCheckpoint {
        /// The file.
        path: PathBuf,
        /// What differs, with what this fit expects and what the checkpoint has.
        difference: Difference,
    },

    /// An image that the features of a linear model were not made of.
    #[error("scan `{scan}`: image {id} is none of those that features were made of; make them of all images that are predicted")]
    NoFeatures {
        /// Name of the scan.
        scan: String,
        /// The image.
        id: brainprior_images::ImageId,
    },

    /// The images of several scans do not go together.
    #[error(transparent)]
    Images(#[from] brainprior_images::Error),

    /// Reliability or responses of a scan.
    #[error(transparent)]
    Recording(#[from] brainprior_recording::Error),

    /// A tensor operation.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
}
