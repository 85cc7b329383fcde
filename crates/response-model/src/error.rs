//! The error of this crate.

use std::path::PathBuf;

use brainprior_artifact::FileError;
use brainprior_artifact::identity::Difference;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No scans were given.
    #[error("a response model needs at least one scan; none was given")]
    NoScans,

    /// An ensemble has no models.
    #[error("an ensemble needs at least one model; none was given")]
    NoModels,

    /// A value of the configuration is out of range.
    #[error("response model configuration: `{key}` is {found}, expected {expected}")]
    Configuration {
        /// The dotted key within the configuration.
        key: &'static str,
        /// The actual value.
        found: String,
        /// The expected range.
        expected: &'static str,
    },

    /// The scans of one fit have images of different sizes.
    #[error(
        "scan `{scan}` shows images of {found_height} x {found_width}, the first scan {expected_height} x {expected_width} \
         (height x width); one core needs one size: resample the images, or fit the scans apart"
    )]
    ImageSize {
        /// Name of the scan, or of the images to be predicted.
        scan: String,
        /// Expected height in pixels.
        expected_height: usize,
        /// Expected width in pixels.
        expected_width: usize,
        /// Actual height in pixels.
        found_height: usize,
        /// Actual width in pixels.
        found_width: usize,
    },

    /// An image to be predicted has the wrong number of pixels.
    #[error(
        "an image of {found} pixels was given to a model of {height} x {width} pixels (height x width); resample it to that size"
    )]
    Pixels {
        /// Height of the model's images.
        height: usize,
        /// Width of the model's images.
        width: usize,
        /// Actual number of pixels.
        found: usize,
    },

    /// A behavioral state does not fit the scan.
    #[error(
        "the behavioral state {found:?} does not fit scan `{scan}`, whose behavior has {columns} columns; give one finite value for \
         each, in the scan's units, or none for the training mean"
    )]
    Behavior {
        /// Name of the scan.
        scan: String,
        /// Number of behavior columns of the scan's model.
        columns: usize,
        /// The given state.
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
        /// Actual number of trials.
        found: usize,
        /// Required number of trials.
        expected: usize,
    },

    /// Positions are to be predicted from cortex, but the scan has no neuron coordinates.
    #[error(
        "scan `{scan}` has no neuron coordinates, from which `readout.positions = \"cortical\"` predicts receptive fields; \
         set `readout.positions = \"located\"`, or write the dataset `neurons/cell_motor_coordinates`"
    )]
    NoCoordinates {
        /// Name of the scan.
        scan: String,
    },

    /// Responses are negative, which only the Gaussian loss allows.
    #[error(
        "scan `{scan}`: {count} of {total} responses are negative (first: {value} at trial {trial}, neuron {neuron}); all losses \
         but `gaussian` expect counts or rates >= 0. Set `loss.rectify_negative = true` (in a pipeline `response.loss.rectify_negative`) to take them as 0, or write the scan with \
         deconvolved (non-negative) activity"
    )]
    NegativeResponses {
        /// Name of the scan.
        scan: String,
        /// Number of negative responses, over the trials of all tiers.
        count: usize,
        /// Number of all responses.
        total: usize,
        /// Row of the first negative response.
        trial: usize,
        /// Column of the first negative response.
        neuron: usize,
        /// The first negative response.
        value: f32,
    },

    /// No neuron of the scan varies over its training trials.
    #[error(
        "scan `{scan}`: none of its {neurons} neurons varies over the {trials} training trials, so there is nothing to fit"
    )]
    NothingVaries {
        /// Name of the scan.
        scan: String,
        /// Number of neurons in the scan.
        neurons: usize,
        /// Number of training trials in the scan.
        trials: usize,
    },

    /// The loss is no longer finite.
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
        /// Learning rate in this step.
        learning_rate: f64,
    },

    /// The model has no scan of this number.
    #[error("scan {index} requested, but the response model has {len} scans (counted from 0)")]
    NoSuchScan {
        /// The requested number.
        index: usize,
        /// Number of scans of the model.
        len: usize,
    },

    /// A scan does not match the scan the model was fitted with.
    #[error(
        "{what} of scan `{scan}`: found {found}, the model was fitted with {expected}; give the scan that was fitted"
    )]
    ScanMismatch {
        /// Name of the scan.
        scan: String,
        /// The quantity that differs.
        what: &'static str,
        /// Its value in the model.
        expected: String,
        /// Its value in the scan.
        found: String,
    },

    /// A trial number is beyond the scan.
    #[error("trial {trial} requested, but scan `{scan}` has {trials} (counted from 0)")]
    NoSuchTrial {
        /// Name of the scan.
        scan: String,
        /// The requested trial.
        trial: usize,
        /// Number of trials in the scan.
        trials: usize,
    },

    /// A model or checkpoint file cannot be read or written, or has unexpected content.
    #[error(transparent)]
    File(#[from] FileError),

    /// The checkpoint belongs to another fit.
    #[error(
        "{path} is the checkpoint of another fit: {difference}; delete it to start over, or give another path"
    )]
    ForeignCheckpoint {
        /// The file.
        path: PathBuf,
        /// The first difference between this fit (expected) and the checkpoint (found).
        difference: Difference,
    },

    /// An image has no features for the linear model.
    #[error(
        "scan `{scan}`: no features were computed for image {id}; compute them for all images that are predicted"
    )]
    NoFeatures {
        /// Name of the scan.
        scan: String,
        /// The image.
        id: brainprior_images::ImageId,
    },

    /// The feature maps of a network are not those of all images.
    #[error(
        "layer {layer} of the network: expected feature maps of {expected} images, found {found}"
    )]
    Maps {
        /// The layer, counted from 0.
        layer: usize,
        /// Number of images.
        expected: usize,
        /// Number of images with maps.
        found: usize,
    },

    /// Batches of a network's feature maps differ in channels.
    #[error(
        "expected feature maps of {expected} channels, like those of earlier images, found {found}"
    )]
    Channels {
        /// Channels of the first batch.
        expected: usize,
        /// Channels of a later one.
        found: usize,
    },

    /// A network has no usable features.
    #[error("layer {layer} of the network: feature maps are not finite; its weights are damaged")]
    NotFinite {
        /// The layer, counted from 0.
        layer: usize,
    },

    /// The images of several scans do not match.
    #[error(transparent)]
    Images(#[from] brainprior_images::Error),

    /// The reliability or the responses of a scan cannot be computed.
    #[error(transparent)]
    Recording(#[from] brainprior_recording::Error),

    /// A tensor operation failed.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
}
