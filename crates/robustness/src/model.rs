//! What is tested: a function from images to logits.

use candle_core::{Device, Tensor};

/// A model that classifies images.
///
/// Normalization lives inside, dropout is off, batch norm uses its running statistics: the logits of an image depend on
/// nothing but the image. Weights should be plain tensors rather than [`Var`](candle_core::Var)s: attacks need the gradient
/// with respect to the images only, and candle computes one for every variable that it meets.
pub trait Classifier: Sync {
    /// Logits `[batch, classes]` of `images`, `[batch, channels, height, width]`, f32 in [0, 1] (beyond only under noise
    /// without clamp). For gradient attacks the result must be differentiable in `images` by candle's autograd; where it is
    /// not, gradients are zero, and are counted.
    ///
    /// # Errors
    /// Returns candle's error if one of its operations fails.
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor>;

    /// Where the model lives.
    fn device(&self) -> Device {
        Device::Cpu
    }
}
