//! Differentiable candle operations for convolution, normalisation, readout and similarity
