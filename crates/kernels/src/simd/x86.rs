//! Vectors of x86-64 processors.

use super::vector::Vector;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512(pub(super) __m512);

impl Vector for Avx512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees the instructions and the pointer.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller guarantees the instructions and the pointer.
        Self(unsafe { _mm512_maskz_loadu_ps((1 << count) - 1, from) })
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe { _mm512_mask_storeu_ps(to, (1 << count) - 1, self.0) }
    }

    #[inline(always)]
    unsafe fn load_every_second(from: *const f32) -> Self {
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe {
            let index =
                _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
            Self(_mm512_permutex2var_ps(
                _mm512_loadu_ps(from),
                index,
                _mm512_loadu_ps(from.add(15)),
            ))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller guarantees the instructions; the array holds all lanes.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller guarantees the instructions and the pointers.
        unsafe { Avx2::transpose(from, from_stride, to, to_stride) }
    }

    #[inline(always)]
    unsafe fn transpose_tall(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller guarantees the instructions and the pointers.
        unsafe {
            // Each vector holds two rows that are four apart, so that after the transposition of
            // four vectors the quarters of a column are in order.
            let half = |row: usize| _mm256_loadu_ps(from.add(row * from_stride));
            let rows = |row: usize| {
                let (above, below) = (_mm512_castps256_ps512(half(row)), half(row + 4));
                _mm512_insertf32x8(above, below, 1)
            };
            let pair = |row: usize| {
                let (a, b) = (rows(row), rows(row + 1));
                (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))
            };
            let eight = |row: usize| {
                let ((al, ah), (bl, bh)) = (pair(row), pair(row + 2));
                [
                    _mm512_shuffle_ps(al, bl, 0x44),
                    _mm512_shuffle_ps(al, bl, 0xee),
                    _mm512_shuffle_ps(ah, bh, 0x44),
                    _mm512_shuffle_ps(ah, bh, 0xee),
                ]
            };
            let (upper, lower) = (eight(0), eight(8));
            for i in 0..4 {
                let (left, right) = (
                    _mm512_shuffle_f32x4(upper[i], lower[i], 0x88),
                    _mm512_shuffle_f32x4(upper[i], lower[i], 0xdd),
                );
                _mm512_storeu_ps(to.add(i * to_stride), left);
                _mm512_storeu_ps(to.add((i + 4) * to_stride), right);
            }
        }
    }

    #[inline(always)]
    unsafe fn ask_for(at: *const f32) {
        // SAFETY: every processor of the architecture has the instruction, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

impl Vector for Avx2 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees the instructions and the pointer.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees the instructions and the pointer.
        unsafe { _mm256_storeu_ps(to, self.0) }
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
            // Floats 0 2 8 10 | 4 6 12 14, then their pairs in order.
            let mixed = _mm256_shuffle_ps(
                _mm256_loadu_ps(from),
                _mm256_loadu_ps(from.add(7)),
                0b11_01_10_00,
            );
            Self(_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0b11_01_10_00)))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, sum.0) })
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
            let row = |i: usize| _mm256_loadu_ps(from.add(i * from_stride));
            let pair = |i: usize| {
                let (a, b) = (row(i), row(i + 1));
                (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
            };
            let quad = |i: usize| {
                let ((al, ah), (bl, bh)) = (pair(i), pair(i + 2));
                [
                    _mm256_shuffle_ps(al, bl, 0x44),
                    _mm256_shuffle_ps(al, bl, 0xee),
                    _mm256_shuffle_ps(ah, bh, 0x44),
                    _mm256_shuffle_ps(ah, bh, 0xee),
                ]
            };
            let (upper, lower) = (quad(0), quad(4));
            for i in 0..4 {
                _mm256_storeu_ps(
                    to.add(i * to_stride),
                    _mm256_permute2f128_ps(upper[i], lower[i], 0x20),
                );
                _mm256_storeu_ps(
                    to.add((i + 4) * to_stride),
                    _mm256_permute2f128_ps(upper[i], lower[i], 0x31),
                );
            }
        }
    }

    #[inline(always)]
    unsafe fn ask_for(at: *const f32) {
        // SAFETY: every processor of the architecture has the instruction, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}
