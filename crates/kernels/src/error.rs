//! The error of this crate.

use candle_core::DType;

/// Why an operation rejected its arguments. Functions of this crate return `candle_core::Result`,
/// which wraps this type (`candle_core::Error::wrap`, or `?` and `.into()`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has the wrong rank or a dimension of the wrong size.
    #[error("{op}: {argument} has shape {found:?}, expected {expected}; {remedy}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The expected shape, in words.
        expected: String,
        /// The actual shape.
        found: Vec<usize>,
        /// What the caller can do.
        remedy: &'static str,
    },
    /// An argument has the wrong data type.
    #[error("{op}: {argument} holds {found:?}, expected {expected:?}; convert it with `to_dtype`")]
    DType {
        /// The operation.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The expected type.
        expected: DType,
        /// The actual type.
        found: DType,
    },
    /// A parameter (a stride, a factor, a rate) is out of range.
    #[error("{op}: {parameter} is {found}, expected {expected}")]
    Parameter {
        /// The operation.
        op: &'static str,
        /// The name of the parameter.
        parameter: &'static str,
        /// The expected range, in words.
        expected: String,
        /// The actual value.
        found: String,
    },
    /// A result would have more elements than can be addressed.
    #[error("{op}: {what} has more elements than can be addressed; use smaller batches or images")]
    Overflow {
        /// The operation.
        op: &'static str,
        /// The result that would be too large.
        what: &'static str,
    },
    /// The environment variable `BRAINPRIOR_SIMD` selects vector instructions that this processor
    /// does not have.
    #[error(
        "BRAINPRIOR_SIMD is {found:?}; this processor has {available}: set it to one of these, or unset it to use the best"
    )]
    Simd {
        /// The value of the variable.
        found: String,
        /// The levels of this processor, best first.
        available: String,
    },
    /// The operation does not support the device of a tensor, or its arguments are on different
    /// devices.
    #[error("{op}: {argument} is on {found}, expected {expected}; move it with `to_device`")]
    Device {
        /// The operation.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The expected device.
        expected: String,
        /// The actual device.
        found: String,
    },
    /// The NVIDIA driver is too old for the kernels.
    #[error(
        "the NVIDIA driver supports CUDA {major}.{minor}, but the kernels need a driver for CUDA 13.0 or later (580 or later): update it, or use the CPU"
    )]
    Driver {
        /// Major CUDA version that the driver supports.
        major: i32,
        /// Minor CUDA version that the driver supports.
        minor: i32,
    },
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        candle_core::Error::wrap(error)
    }
}
