//! The same sums with AMX tiles ([`crate::simd::tiles`]), directly over taps for every kernel size.
//! A tile instruction computes sixteen times the products of a vector instruction, so the transform
//! of [`super::super::winograd`] would save little and still cost its evaluations.
//!
//! A tile reads rows and depth at fixed distances, so images are converted to a layout for that,
//! [`Planes`]: padded, and split by row and column modulo the stride. Consecutive outputs then read
//! consecutive positions, whatever the stride, also beyond the end of a row; the results for
//! positions between two rows are not used.

mod correlate;
mod planes;
mod weight_gradient;

pub(super) use correlate::correlate;
pub(super) use weight_gradient::weight_gradient;
