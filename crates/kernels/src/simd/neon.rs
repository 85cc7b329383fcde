//! Vectors of 64-bit ARM processors.

use super::vector::Vector;
use std::arch::aarch64::*;

/// Two registers of four floats, so that a vector is as wide as in AVX2 and kernels are divided in
/// the same way; the 32 registers hold as many of them.
#[derive(Clone, Copy)]
pub(crate) struct Neon(float32x4_t, float32x4_t);

impl Vector for Neon {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller guarantees the instructions.
        unsafe { Self(vdupq_n_f32(value), vdupq_n_f32(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe { Self(vld1q_f32(from), vld1q_f32(from.add(4))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe {
            vst1q_f32(to, self.0);
            vst1q_f32(to.add(4), self.1);
        }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }

    #[inline(always)]
    unsafe fn load_every_second(from: *const f32) -> Self {
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe {
            // Floats 0 to 7, and 7 to 14: even lanes of the first, odd lanes of the second.
            let (first, second) = (Self::load(from), Self::load(from.add(7)));
            Self(vuzp1q_f32(first.0, first.1), vuzp2q_f32(second.0, second.1))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        unsafe { Self(vaddq_f32(self.0, other.0), vaddq_f32(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        unsafe { Self(vsubq_f32(self.0, other.0), vsubq_f32(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        unsafe { Self(vmulq_f32(self.0, other.0), vmulq_f32(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        unsafe { Self(vfmaq_f32(sum.0, self.0, factor.0), vfmaq_f32(sum.1, self.1, factor.1)) }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller guarantees the instructions; `lanes` holds all lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes.iter().sum()
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller guarantees the instructions and the pointers.
        unsafe {
            for row in [0, 4] {
                for column in [0, 4] {
                    let line = |i: usize| vld1q_f32(from.add((row + i) * from_stride + column));
                    let (a, b, c, d) = (line(0), line(1), line(2), line(3));
                    let (even, odd) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
                    let (even_below, odd_below) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
                    let pairs = |first: float32x4_t, second: float32x4_t| {
                        let (first, second) =
                            (vreinterpretq_f64_f32(first), vreinterpretq_f64_f32(second));
                        [
                            vreinterpretq_f32_f64(vtrn1q_f64(first, second)),
                            vreinterpretq_f32_f64(vtrn2q_f64(first, second)),
                        ]
                    };
                    let ([first, third], [second, fourth]) =
                        (pairs(even, even_below), pairs(odd, odd_below));
                    for (i, line) in [first, second, third, fourth].into_iter().enumerate() {
                        vst1q_f32(to.add((column + i) * to_stride + row), line);
                    }
                }
            }
        }
    }
}
