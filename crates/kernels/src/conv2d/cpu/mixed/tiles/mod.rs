//! The same sums by tiles ([`crate::simd::tiles`]), directly over taps whatever the kernel: with sixteen times the products of a vector
//! instruction, the transform of [`super::super::winograd`] has little to save and its evaluations still to make.
//!
//! A tile takes rows and depth at fixed distances, so that images are laid out once more, in [`Planes`]: padded, and cut by row and column
//! modulo the stride. In those, outputs that follow one another read positions that do, whatever the stride, and beyond the end of a
//! row of the image too; what is computed for the positions between two rows is not used.

mod correlate;
mod planes;
mod weight_gradient;

pub(super) use correlate::correlate;
pub(super) use weight_gradient::weight_gradient;
