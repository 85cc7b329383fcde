//! Errors of an evaluation.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pixel is outside [0, 1] or NaN.
    #[error(
        "image {image}, pixel {pixel}: expected a value in [0, 1], found {found}; pass unnormalized images and normalize inside the model"
    )]
    Pixel {
        /// Index of the image.
        image: usize,
        /// Index of the value, `[channels, height, width]` row-major.
        pixel: usize,
        /// The value.
        found: f32,
    },
    /// Two sizes do not match.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// The quantity whose size is wrong.
        what: &'static str,
        /// The expected size.
        expected: String,
        /// The size found.
        found: String,
    },
    /// A label or target class has no logit.
    #[error("image {image}: class {found}, expected 0 to {} (the model has {classes} logits)", .classes - 1)]
    Label {
        /// Index of the image.
        image: usize,
        /// The class.
        found: usize,
        /// Logits of the model.
        classes: usize,
    },
    /// The target class of an attack is the image's own label.
    #[error(
        "image {image}: the target class {class} is the image's label; choose another class or no target"
    )]
    Target {
        /// Index of the image.
        image: usize,
        /// The class.
        class: usize,
    },
    /// A logit or gradient is NaN or infinite.
    #[error(
        "image {image}: the model's {what} {index} is {found}, expected a finite value; check the weights"
    )]
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
    /// A noise level or perturbation size is out of range.
    #[error("{what} {index}: expected {expected}, found {found}")]
    Level {
        /// The quantity that has the level.
        what: &'static str,
        /// Index in the list of levels.
        index: usize,
        /// The expected range.
        expected: String,
        /// The value.
        found: f64,
    },
    /// The JPEG codec failed.
    #[error("JPEG: {reason}")]
    Jpeg {
        /// The codec's message.
        reason: String,
    },
    /// There is nothing to take a median or mean over.
    #[error(
        "no images to evaluate: either none were given, or none is classified correctly (by both models, if two are compared)"
    )]
    NoImages,
    /// The model failed.
    #[error("{doing}, images {first} to {last}: {source}")]
    Model {
        /// The computation that failed.
        doing: &'static str,
        /// Index of the first image of the batch.
        first: usize,
        /// Index of the last image of the batch.
        last: usize,
        /// The error from candle.
        source: candle_core::Error,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
