//! Differentiable candle operations for convolution, normalisation, readout and similarity

mod conv2d;
mod error;

pub use conv2d::{Conv2dGeometry, conv2d};
pub use error::Error;
