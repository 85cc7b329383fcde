//! Products of panels of unit vectors, in registers, for the instruction set that the processor turns out to have.
//!
//! A panel holds [`PANEL`] images, dimension by dimension: `panel[dimension][image]`. Both sides of a product read the same
//! panels, so that vectors are packed once, where they are normalised.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Images in a panel: three AVX-512 vectors, six of AVX2.
pub(crate) const PANEL: usize = 48;

/// Dimensions that are summed in registers before the sums are added to the tile. The slices of the two panels at hand then
/// stay in the nearest cache, and sums of many thousand dimensions stay exact to rounding.
const DEPTH: usize = 384;

/// The instruction sets that the kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// Those that this processor has, best first.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            is_x86_feature_detected!("avx512f").then_some(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self::Avx2),
            Some(Self::Portable),
        ]
        .into_iter()
        .flatten()
    }

    pub(crate) fn best() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }
}

/// Whole panels of `depth` dimensions, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct PanelSlice<'a> {
    values: &'a [f32],
    depth: usize,
}

impl<'a> PanelSlice<'a> {
    pub(crate) fn new(values: &'a [f32], depth: usize) -> Self {
        assert!(depth > 0 && values.len().is_multiple_of(depth * PANEL));
        Self { values, depth }
    }

    pub(crate) fn panels(&self) -> usize {
        self.values.len() / (self.depth * PANEL)
    }
}

/// `out[r][c]` = dot product of image `r` of `rows` and image `c` of `columns`, row-major with all images of `columns` in a
/// row. Where `upper`, both sides
/// begin with the same image and panels below the diagonal are left as they are.
pub(crate) fn products(isa: Isa, rows: PanelSlice<'_>, columns: PanelSlice<'_>, upper: bool, out: &mut [f32]) {
    assert_eq!(rows.depth, columns.depth);
    assert!(out.len() >= rows.panels() * columns.panels() * PANEL * PANEL);
    let block = Products { rows, columns, upper, out: out.as_mut_ptr() };
    // SAFETY: an `Isa` other than `Portable` is made only where the processor has it; the sizes are checked above.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(&block),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(&block),
            Isa::Portable => multiply::<[f32; 8], 4, 3>(&block),
        }
    }
}

struct Products<'a> {
    rows: PanelSlice<'a>,
    columns: PanelSlice<'a>,
    upper: bool,
    out: *mut f32,
}

// SAFETY (both): the caller vouches for the instruction set and for the sizes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(block: &Products<'_>) {
    unsafe { multiply::<__m512, 8, 3>(block) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(block: &Products<'_>) {
    unsafe { multiply::<__m256, 4, 3>(block) }
}

/// # Safety
/// The processor has the instructions of `V`; `out` holds the products of all panels.
#[inline(always)]
unsafe fn multiply<V: Vector, const ROWS: usize, const VECTORS: usize>(block: &Products<'_>) {
    let depth = block.rows.depth;
    let stride = block.columns.panels() * PANEL;
    for start in (0..depth).step_by(DEPTH) {
        let length = DEPTH.min(depth - start);
        for column in 0..block.columns.panels() {
            let right = block.columns.values[(column * depth + start) * PANEL..].as_ptr();
            let last = if block.upper { block.rows.panels().min(column + 1) } else { block.rows.panels() };
            for row in 0..last {
                let left = block.rows.values[(row * depth + start) * PANEL..].as_ptr();
                for r in (0..PANEL).step_by(ROWS) {
                    for c in (0..PANEL).step_by(VECTORS * V::LANES) {
                        // SAFETY: `start + length <= depth` dimensions of both panels lie behind the pointers, and `out`
                        // holds row `row * PANEL + r + ROWS - 1` up to column `column * PANEL + c + VECTORS * LANES - 1`.
                        unsafe {
                            let out = block.out.add((row * PANEL + r) * stride + column * PANEL + c);
                            add_products::<V, ROWS, VECTORS>(length, left.add(r), right.add(c), out, stride, start == 0);
                        }
                    }
                }
            }
        }
    }
}

/// Sums over `depth` dimensions for `ROWS` x `VECTORS * LANES` pairs, held in registers.
///
/// # Safety
/// As of [`multiply`].
#[inline(always)]
unsafe fn add_products<V: Vector, const ROWS: usize, const VECTORS: usize>(
    depth: usize,
    mut left: *const f32,
    mut right: *const f32,
    out: *mut f32,
    stride: usize,
    first: bool,
) {
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for _ in 0..depth {
            let mut columns = [V::splat(0.0); VECTORS];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = V::load(right.add(v * V::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let row = V::splat(*left.add(r));
                for (sum, column) in sums.iter_mut().zip(&columns) {
                    *sum = row.mul_add(*column, *sum);
                }
            }
            left = left.add(PANEL);
            right = right.add(PANEL);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let to = out.add(r * stride + v * V::LANES);
                if first { *sum } else { sum.add(V::load(to)) }.store(to);
            }
        }
    }
}

/// A vector of floats in a register.
///
/// # Safety
/// All functions need the instruction set of the type, and pointers that are valid for [`Vector::LANES`] floats.
trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    /// `self * factor + sum`
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
}

macro_rules! intel {
    ($vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $mul_add:ident) => {
        #[cfg(target_arch = "x86_64")]
        // SAFETY (all blocks): the caller vouches for the instruction set and for the pointers, as the trait demands.
        impl Vector for $vector {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(value: f32) -> Self {
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
                unsafe { $mul_add(self, factor, sum) }
            }
        }
    };
}

intel!(__m512, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps);
intel!(__m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps);

/// Eight floats that the compiler maps to whatever the target has.
// SAFETY (all blocks): the caller vouches for the pointers, as the trait demands.
impl Vector for [f32; 8] {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { from.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<Self>().write(self) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // Without hardware support a fused multiply-add is a slow library call.
        std::array::from_fn(|lane| match cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            true => self[lane].mul_add(factor[lane], sum[lane]),
            false => self[lane] * factor[lane] + sum[lane],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_instruction_set_gives_the_sums_of_the_definition() {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        for (row_panels, column_panels, depth, upper) in
            [(1, 1, 1, false), (2, 3, 7, false), (1, 2, 600, false), (3, 3, 259, true)]
        {
            let mut panels =
                |count: usize| -> Vec<f32> { (0..count * depth * PANEL).map(|_| generator.random_range(-1.0f32..1.0)).collect() };
            let columns = panels(column_panels);
            let rows = if upper { columns.clone() } else { panels(row_panels) };
            let value =
                |panels: &[f32], image: usize, k: usize| f64::from(panels[((image / PANEL) * depth + k) * PANEL + image % PANEL]);
            for isa in Isa::available() {
                let mut out = vec![7.0f32; row_panels * column_panels * PANEL * PANEL];
                products(isa, PanelSlice::new(&rows, depth), PanelSlice::new(&columns, depth), upper, &mut out);
                for r in 0..row_panels * PANEL {
                    for c in 0..column_panels * PANEL {
                        let found = f64::from(out[r * column_panels * PANEL + c]);
                        if upper && r / PANEL > c / PANEL {
                            assert_eq!(found, 7.0, "{isa:?} wrote below the diagonal at ({r}, {c})");
                            continue;
                        }
                        let expected: f64 = (0..depth).map(|k| value(&rows, r, k) * value(&columns, c, k)).sum();
                        assert!((found - expected).abs() < 1e-4, "{isa:?} ({r}, {c}): expected {expected}, found {found}");
                    }
                }
            }
        }
    }
}
