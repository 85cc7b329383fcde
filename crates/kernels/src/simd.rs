//! Vectors of `f32` for the instruction set that the processor turns out to have.
//!
//! Kernels are written once, generic over [`Vector`] and always inlined, and compiled for every set with [`compiled_for_each!`].

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// The instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// Those that this processor has, best first.
    pub fn available() -> impl Iterator<Item = Isa> {
        [
            #[cfg(target_arch = "x86_64")]
            is_x86_feature_detected!("avx512f").then_some(Isa::Avx512),
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Isa::Avx2),
            Some(Isa::Portable),
        ]
        .into_iter()
        .flatten()
    }

    pub fn best() -> Isa {
        Isa::available().next().unwrap_or(Isa::Portable)
    }

    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => 8,
            Isa::Portable => 8,
        }
    }

    /// Vectors that fit the registers as sums, beside the factors.
    pub fn wide(self) -> bool {
        self.lanes() == 16
    }
}

/// A vector of floats in a register.
///
/// # Safety
///
/// All functions need the instruction set of the type, and pointers that are valid for the floats they name.
pub(super) trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// The first `count < LANES` floats, then zeros.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// Every second of the `2 * LANES - 1` floats.
    unsafe fn load_every_second(from: *const f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + sum`
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// The sum of the lanes, in a fixed order.
    unsafe fn sum(self) -> f32;
    /// Eight rows of eight floats, `from_stride` apart, to eight columns, rows `to_stride` apart.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

#[cfg(target_arch = "x86_64")]
// SAFETY (all blocks): the caller vouches for AVX-512F and for the pointers, as the trait demands.
impl Vector for Avx512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps((1 << count) - 1, from) })
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { _mm512_mask_storeu_ps(to, (1 << count) - 1, self.0) }
    }

    #[inline(always)]
    unsafe fn load_every_second(from: *const f32) -> Self {
        unsafe {
            let index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
            Self(_mm512_permutex2var_ps(_mm512_loadu_ps(from), index, _mm512_loadu_ps(from.add(15))))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self.0) }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        unsafe { Avx2::transpose(from, from_stride, to, to_stride) }
    }
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

#[cfg(target_arch = "x86_64")]
// SAFETY (all blocks): the caller vouches for AVX2 with FMA and for the pointers, as the trait demands.
impl Vector for Avx2 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 8];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut lanes = [0.0; 8];
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }

    #[inline(always)]
    unsafe fn load_every_second(from: *const f32) -> Self {
        unsafe {
            // Floats 0 2 8 10 | 4 6 12 14, then their pairs in order.
            let mixed = _mm256_shuffle_ps(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(7)), 0b11_01_10_00);
            Self(_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0b11_01_10_00)))
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0.0; 8];
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes.iter().sum()
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
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
                _mm256_storeu_ps(to.add(i * to_stride), _mm256_permute2f128_ps(upper[i], lower[i], 0x20));
                _mm256_storeu_ps(to.add((i + 4) * to_stride), _mm256_permute2f128_ps(upper[i], lower[i], 0x31));
            }
        }
    }
}

/// Eight floats that the compiler maps to whatever the target has.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 8]);

// SAFETY (all blocks): the caller vouches for the pointers, as the trait demands.
impl Vector for Portable {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { from.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 8]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 8];
        unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count) };
        Self(lanes)
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count) }
    }

    #[inline(always)]
    unsafe fn load_every_second(from: *const f32) -> Self {
        Self(std::array::from_fn(|i| unsafe { *from.add(2 * i) }))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // Without hardware support a fused multiply-add is a slow library call.
        Self(std::array::from_fn(|i| match cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            true => self.0[i].mul_add(factor.0[i], sum.0[i]),
            false => self.0[i] * factor.0[i] + sum.0[i],
        }))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.0.iter().sum()
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for i in 0..8 {
            for j in 0..8 {
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
            }
        }
    }
}

/// Compiles the generic kernel `fn name<V: Vector, const ..>(&Arguments)` for every instruction set, as functions of a module of the
/// same name that [`instance!`] picks from.
macro_rules! compiled_for_each {
    ($name:ident, $arguments:ty $(, $constant:ident)*) => {
        mod $name {
            use super::*;

            // SAFETY (all blocks): these have the demands of the kernel itself; that the processor has the instructions is
            // known where an `Isa` exists.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            pub unsafe fn avx512<$(const $constant: usize),*>(arguments: &$arguments) {
                unsafe { super::$name::<$crate::simd::Avx512, $($constant),*>(arguments) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            pub unsafe fn avx2<$(const $constant: usize),*>(arguments: &$arguments) {
                unsafe { super::$name::<$crate::simd::Avx2, $($constant),*>(arguments) }
            }

            pub unsafe fn portable<$(const $constant: usize),*>(arguments: &$arguments) {
                unsafe { super::$name::<$crate::simd::Portable, $($constant),*>(arguments) }
            }
        }
    };
}

/// The function of a kernel for an instruction set and constants.
macro_rules! instance {
    ($isa:expr, $name:ident $(, $constant:expr)*) => {
        match $isa {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Isa::Avx512 => $name::avx512::<$({ $constant }),*>,
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Isa::Avx2 => $name::avx2::<$({ $constant }),*>,
            $crate::simd::Isa::Portable => $name::portable::<$({ $constant }),*>,
        }
    };
}

pub(super) use {compiled_for_each, instance};
