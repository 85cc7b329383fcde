//! Differentiable candle operations for convolution, normalisation, readout and similarity

mod error;

pub use error::Error;
