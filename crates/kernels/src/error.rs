//! What can be wrong with the arguments of an operation.

use candle_core::DType;

/// Why an operation refused its arguments. Functions of this crate return `candle_core::Result`; this type travels inside
/// (`candle_core::Error::wrap`, or `?` and `.into()`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has the wrong rank or a dimension of the wrong size.
    #[error("{op}: {argument} has shape {found:?}, expected {expected}; {remedy}")]
    Shape {
        /// The operation that refused.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The shape it should have, in words.
        expected: String,
        /// The shape it has.
        found: Vec<usize>,
        /// What the caller can do.
        remedy: &'static str,
    },
    /// An argument's numbers are not stored as the operation needs them.
    #[error("{op}: {argument} holds {found:?}, expected {expected:?}; convert it with `to_dtype`")]
    DType {
        /// The operation that refused.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The type the operation reads.
        expected: DType,
        /// The type the argument has.
        found: DType,
    },
    /// A plain parameter (a stride, a factor, a rate) lies outside its range.
    #[error("{op}: {parameter} is {found}, expected {expected}")]
    Parameter {
        /// The operation that refused.
        op: &'static str,
        /// The name of the parameter.
        parameter: &'static str,
        /// Its range, in words.
        expected: String,
        /// Its value.
        found: String,
    },
    /// The number of elements of a result does not fit the machine's address space.
    #[error("{op}: {what} has more elements than can be addressed; use smaller batches or images")]
    Overflow {
        /// The operation that refused.
        op: &'static str,
        /// What would be too large.
        what: &'static str,
    },
    /// The environment variable `BRAINPRIOR_SIMD`, which names the vector instructions to use, names none that there are here.
    #[error("BRAINPRIOR_SIMD is {found:?}; this processor has {available}: name one of these, or unset it to use the best")]
    Simd {
        /// Its value.
        found: String,
        /// The levels of this processor, best first.
        available: String,
    },
    /// The operation has no implementation for where the tensor lives, or its arguments live in different places.
    #[error("{op}: {argument} is on {found}, expected {expected}; move it with `to_device`")]
    Device {
        /// The operation that refused.
        op: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// Where it should be.
        expected: String,
        /// Where it is.
        found: String,
    },
    /// The driver of NVIDIA's devices is older than the kernels.
    #[error(
        "the NVIDIA driver is one for CUDA {major}.{minor}, the kernels need one for CUDA 13.0 or later (580 or later): update it, or use the CPU"
    )]
    Driver {
        /// The version of CUDA that the driver is for.
        major: i32,
        /// The rest of that version.
        minor: i32,
    },
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        candle_core::Error::wrap(error)
    }
}
