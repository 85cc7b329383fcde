//! Products of all pairs of two sets of vectors, what a matrix of similarities is made of, and the loops that prepare for them.
//!
//! Vectors are packed once, where they are normalized, and read for many products. A panel holds [`PANEL`] vectors, dimension by
//! dimension: `panel[dimension][vector]`. Both sides of a product read the same panels.
//!
//! ```
//! use brainprior_kernels::gram::{Gram, PANEL, Panels};
//!
//! // Two dimensions: vector `i` of the panel is (i, 1).
//! let values: Vec<f32> = (0..PANEL).map(|i| i as f32).chain([1.0; PANEL]).collect();
//! let panels = Panels::new(&values, 2);
//! let mut products = vec![0.0; PANEL * PANEL];
//! Gram::new()?.products(panels, panels, false, &mut products);
//! assert_eq!(products[3 * PANEL + 5], 3.0 * 5.0 + 1.0);
//! # Ok::<(), brainprior_kernels::Error>(())
//! ```

mod kernel;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
#[cfg(any(test, target_arch = "x86_64"))]
mod tiles;
mod vectors;

pub use vectors::{GROUP, add_to_sums, interleave, normalize};

use crate::Error;
use crate::simd::Isa;
#[cfg(target_arch = "x86_64")]
use crate::simd::tiles::Amx;

/// Vectors in a panel: three vectors of AVX-512, six of AVX2.
pub const PANEL: usize = 48;

/// Whole panels of vectors of `depth` dimensions, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a> {
    values: &'a [f32],
    depth: usize,
}

impl<'a> Panels<'a> {
    /// Panels that lie in `values`, `[panel][dimension][vector]`.
    ///
    /// # Panics
    /// Where `depth` is 0, or `values` are no whole number of panels.
    pub fn new(values: &'a [f32], depth: usize) -> Self {
        assert!(depth > 0 && values.len().is_multiple_of(depth * PANEL), "whole panels of {depth} dimensions");
        Self { values, depth }
    }

    /// Their number.
    pub fn count(&self) -> usize {
        self.values.len() / (self.depth * PANEL)
    }
}

/// The products, compiled for the vector instructions in use.
#[derive(Clone, Copy, Debug)]
pub struct Gram {
    isa: Isa,
}

impl Gram {
    /// For the vector instructions in use.
    ///
    /// # Errors
    /// [`Error::Simd`], where `BRAINPRIOR_SIMD` names instructions that this processor does not have.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { isa: Isa::chosen()? })
    }

    /// `out[r][c]` = dot product of vector `r` of `rows` and vector `c` of `columns`, row-major with all vectors of `columns` in
    /// a row; what `out` has beyond is left as it is. Where `upper`, both sides begin with the same vector, and panels below the
    /// diagonal are left as they are, too.
    ///
    /// Sums over dimensions are f32, in an order that the depth alone decides, so that the same vectors give the same bits
    /// wherever they stand, on the same instructions. Where the processor has tiles of bfloat16 numbers, factors are sums of three of those,
    /// exactly, and six of their nine products are made: for vectors of length one, what is left out is less than 1.3e-7. There, the
    /// last bits change where rows and columns change places.
    ///
    /// # Panics
    /// Where the two sides have different depths, or `out` has less room than the products of all panels.
    pub fn products(self, rows: Panels<'_>, columns: Panels<'_>, upper: bool, out: &mut [f32]) {
        assert_eq!(rows.depth, columns.depth, "vectors of the same dimensions");
        assert!(out.len() >= rows.count() * columns.count() * PANEL * PANEL, "room for all products");
        #[cfg(target_arch = "x86_64")]
        if self.isa == Isa::Amx {
            // SAFETY: the level was detected.
            return unsafe { tiles::multiply::<Amx>(self.isa, rows, columns, upper, out) };
        }
        let block = kernel::Products { rows, columns, upper, out: out.as_mut_ptr() };
        // SAFETY: the level was detected; the sizes are checked above.
        unsafe { kernel::of(self.isa)(&block) }
    }
}
