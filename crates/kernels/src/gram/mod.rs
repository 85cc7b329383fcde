//! Gram products: dot products of all pairs of two sets of vectors, for similarity matrices, and
//! the loops that prepare them.
//!
//! Vectors are packed once, when they are normalized, and read for many products. A panel holds
//! [`PANEL`] vectors, dimension by dimension: `panel[dimension][vector]`. Both sides of a product
//! use the same panels.
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

#[allow(clippy::too_many_arguments, reason = "inner loops take their operands separately")]
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

/// Vectors per panel: three AVX-512 or six AVX2 registers.
pub const PANEL: usize = 48;

/// Complete panels of vectors with `depth` dimensions, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a> {
    values: &'a [f32],
    depth: usize,
}

impl<'a> Panels<'a> {
    /// The panels in `values`, `[panel][dimension][vector]`.
    ///
    /// # Panics
    /// Panics if `depth` is 0 or `values` is not a whole number of panels.
    pub fn new(values: &'a [f32], depth: usize) -> Self {
        assert!(
            depth > 0 && values.len().is_multiple_of(depth * PANEL),
            "whole panels of {depth} dimensions"
        );
        Self { values, depth }
    }

    /// Number of panels.
    pub fn count(&self) -> usize {
        self.values.len() / (self.depth * PANEL)
    }
}

/// The products, compiled for the active vector instructions.
#[derive(Clone, Copy, Debug)]
pub struct Gram {
    isa: Isa,
}

impl Gram {
    /// Products for the active vector instructions.
    ///
    /// # Errors
    /// Returns [`Error::Simd`] if `BRAINPRIOR_SIMD` selects instructions that this processor does
    /// not have.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { isa: Isa::chosen()? })
    }

    /// Computes `out[r][c]`, the dot product of vector `r` of `rows` and vector `c` of `columns`,
    /// row-major with all vectors of `columns` in a row; the rest of `out` is unchanged. If
    /// `upper`, both sides must begin with the same vector, and panels below the diagonal are
    /// unchanged, too.
    ///
    /// Sums over dimensions are f32, in an order that depends only on the depth, so the same
    /// vectors give the same bits at any position, with the same instructions. With AMX tiles, each
    /// factor is split exactly into three bfloat16 numbers, and six of the nine products are
    /// computed: for vectors of length one, the omitted part is less than 1.3e-7. There, the last
    /// bits change if rows and columns are exchanged.
    ///
    /// # Panics
    /// Panics if the depths differ or `out` is too small for the products of all panels.
    pub fn products(self, rows: Panels<'_>, columns: Panels<'_>, upper: bool, out: &mut [f32]) {
        assert_eq!(rows.depth, columns.depth, "vectors of the same dimensions");
        assert!(
            out.len() >= rows.count() * columns.count() * PANEL * PANEL,
            "the output holds all products"
        );
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
