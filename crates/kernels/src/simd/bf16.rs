//! Operations of kernels on bfloat16 numbers: sums of products of pairs, in f32, and rounding.
//!
//! The definition is that of the instruction `vdpbf16ps`: to each f32 sum, it adds the product of
//! the second numbers of two pairs, then that of the first ones; each addition rounds to nearest
//! even. A product of two bfloat16 numbers is exact in f32, so a fused and a separate addition give
//! the same bits, and all levels agree, except that the instruction treats subnormal numbers and
//! results as zero.

use super::vector::Vector;

/// Loads and stores bfloat16 numbers, as bits, for the f32 vectors `V`.
///
/// # Safety
///
/// See [`Vector`].
pub(crate) trait Bf16<V: Vector> {
    /// A pair of bfloat16 numbers per lane.
    type Pairs: Copy;
    /// Loads `LANES` numbers.
    unsafe fn load(from: *const u16) -> V;
    /// Stores `LANES` numbers, rounded to nearest even.
    unsafe fn store(vector: V, to: *mut u16);
    /// Stores `LANES` pairs of lanes of `first` and `second`, rounded to nearest even.
    unsafe fn store_pairs(first: V, second: V, to: *mut u16);
    /// Loads `LANES` pairs.
    unsafe fn load_pairs(from: *const u16) -> Self::Pairs;
    /// Loads one pair for all lanes.
    unsafe fn splat_pair(from: *const u16) -> Self::Pairs;
    /// `sum` plus the products of both numbers of the pairs in each lane.
    unsafe fn add_dot(sum: V, a: Self::Pairs, b: Self::Pairs) -> V;
}

/// Converts a bfloat16 number to f32.
#[inline(always)]
pub(crate) fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The nearest bfloat16 number, ties to even; NaN stays NaN.
#[inline(always)]
pub(crate) fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16;
    if value.is_nan() { (bits >> 16) as u16 | 0x40 } else { rounded }
}

/// For vectors of at most 16 lanes, without bfloat16 instructions.
pub(crate) struct Emulated;

impl<V: Vector> Bf16<V> for Emulated {
    /// The first and the second numbers of the pairs.
    type Pairs = [V; 2];

    #[inline(always)]
    unsafe fn load(from: *const u16) -> V {
        let mut lanes = [0.0; 16];
        // SAFETY: the caller guarantees the pointer and the instructions; `lanes` holds all lanes.
        unsafe {
            (0..V::LANES).for_each(|lane| lanes[lane] = widen(*from.add(lane)));
            V::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(vector: V, to: *mut u16) {
        let mut lanes = [0.0; 16];
        // SAFETY: as above.
        unsafe {
            vector.store(lanes.as_mut_ptr());
            (0..V::LANES).for_each(|lane| *to.add(lane) = narrow(lanes[lane]));
        }
    }

    #[inline(always)]
    unsafe fn store_pairs(first: V, second: V, to: *mut u16) {
        let mut lanes = [[0.0; 16]; 2];
        // SAFETY: as above.
        unsafe {
            first.store(lanes[0].as_mut_ptr());
            second.store(lanes[1].as_mut_ptr());
            for lane in 0..V::LANES {
                *to.add(2 * lane) = narrow(lanes[0][lane]);
                *to.add(2 * lane + 1) = narrow(lanes[1][lane]);
            }
        }
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const u16) -> Self::Pairs {
        let mut lanes = [[0.0; 16]; 2];
        // SAFETY: as above.
        unsafe {
            for lane in 0..V::LANES {
                lanes[0][lane] = widen(*from.add(2 * lane));
                lanes[1][lane] = widen(*from.add(2 * lane + 1));
            }
            [V::load(lanes[0].as_ptr()), V::load(lanes[1].as_ptr())]
        }
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const u16) -> Self::Pairs {
        // SAFETY: as above.
        unsafe { [V::splat(widen(*from)), V::splat(widen(*from.add(1)))] }
    }

    #[inline(always)]
    unsafe fn add_dot(sum: V, a: Self::Pairs, b: Self::Pairs) -> V {
        // SAFETY: the caller guarantees the instructions.
        unsafe { a[0].mul_add(b[0], a[1].mul_add(b[1], sum)) }
    }
}

/// The instructions of AVX-512 BF16 (Cooper Lake, Sapphire Rapids, Zen 4 and later).
#[cfg(target_arch = "x86_64")]
pub(crate) struct Native;

#[cfg(target_arch = "x86_64")]
mod native {
    use super::super::x86::Avx512;
    use super::{Bf16, Native};
    use std::arch::x86_64::*;

    impl Bf16<Avx512> for Native {
        type Pairs = __m512i;

        #[inline(always)]
        unsafe fn load(from: *const u16) -> Avx512 {
            // SAFETY: the caller guarantees the pointer and the instructions.
            unsafe {
                let numbers = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(numbers)))
            }
        }

        #[inline(always)]
        unsafe fn store(vector: Avx512, to: *mut u16) {
            // SAFETY: as above.
            unsafe {
                let rounded =
                    std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(vector.0));
                _mm256_storeu_si256(to.cast(), rounded);
            }
        }

        #[inline(always)]
        unsafe fn store_pairs(first: Avx512, second: Avx512, to: *mut u16) {
            // SAFETY: as above.
            unsafe {
                let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(
                    second.0, first.0,
                ));
                // Lane i of the lower half, then lane i of the upper half.
                let order: [u16; 32] = const {
                    let mut order = [0; 32];
                    let mut i = 0;
                    while i < 32 {
                        order[i] = (i / 2 + i % 2 * 16) as u16;
                        i += 1;
                    }
                    order
                };
                let order = _mm512_loadu_si512(order.as_ptr().cast());
                _mm512_storeu_si512(to.cast(), _mm512_permutexvar_epi16(order, halves));
            }
        }

        #[inline(always)]
        unsafe fn load_pairs(from: *const u16) -> __m512i {
            // SAFETY: as above.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn splat_pair(from: *const u16) -> __m512i {
            // SAFETY: as above.
            unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
        }

        #[inline(always)]
        unsafe fn add_dot(sum: Avx512, a: __m512i, b: __m512i) -> Avx512 {
            // SAFETY: the caller guarantees the instructions; the bits are the same.
            unsafe {
                let (a, b) = (
                    std::mem::transmute::<__m512i, __m512bh>(a),
                    std::mem::transmute::<__m512i, __m512bh>(b),
                );
                Avx512(_mm512_dpbf16_ps(sum.0, a, b))
            }
        }
    }
}
