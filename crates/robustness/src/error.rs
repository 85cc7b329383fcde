//! What can be wrong with an evaluation.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pixel outside [0, 1], or not a number.
    #[error("image {image}, pixel {pixel}: expected a value in [0, 1], found {found}; normalization belongs inside the model")]
    Pixel {
        /// Index of the image.
        image: usize,
        /// Index of the value, `[channels, height, width]` row-major.
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
    /// A label or target class that the model has no logit for.
    #[error("image {image}: class {found}, expected 0 to {} (the model has {classes} logits)", .classes - 1)]
    Label {
        /// Index of the image.
        image: usize,
        /// The class.
        found: usize,
        /// Logits of the model.
        classes: usize,
    },
    /// An attack towards the class that the image has.
    #[error("image {image}: the target class {class} is its label; choose another, or no target")]
    Target {
        /// Index of the image.
        image: usize,
        /// The class.
        class: usize,
    },
    /// A logit or gradient that is not a number, or infinite.
    #[error("image {image}: the model's {what} {index} is {found}, expected a finite value; check the weights")]
    NotFinite {
        /// Index of the image.
        image: usize,
        /// `logit` or `gradient at pixel`.
        what: &'static str,
        /// Class or pixel.
        index: usize,
        /// The value.
        found: f32,
    },
    /// A level of noise or a size of perturbation that makes no sense.
    #[error("{what} {index}: expected {expected}, found {found}")]
    Level {
        /// What it is a level of.
        what: &'static str,
        /// Its index in the list given.
        index: usize,
        /// What was asked for.
        expected: String,
        /// The value.
        found: f64,
    },
    /// The JPEG codec refused.
    #[error("JPEG: {reason}")]
    Jpeg {
        /// What it said.
        reason: String,
    },
    /// Nothing to take a median or a mean of.
    #[error(
        "a figure over no images: either none was given or none is classified rightly to begin with, by both models where two are compared"
    )]
    NoImages,
    /// The model failed.
    #[error("{doing}, images {first} to {last}: {source}")]
    Model {
        /// What was computed.
        doing: &'static str,
        /// Index of the first image of the batch.
        first: usize,
        /// Index of the last image of the batch.
        last: usize,
        /// What candle said.
        source: candle_core::Error,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
