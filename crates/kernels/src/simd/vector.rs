//! Operations of kernels on a vector of floats, for any instruction set.

/// A vector of floats in a register.
///
/// # Safety
///
/// All functions need the instruction set of the type, and pointers that are valid for the floats
/// they access.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// The first `count < LANES` floats, then zeros.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// Every second one of `2 * LANES - 1` floats.
    unsafe fn load_every_second(from: *const f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + sum`
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// The sum of the lanes, in a fixed order.
    unsafe fn sum(self) -> f32;
    /// Transposes eight rows of eight floats, `from_stride` apart, to rows `to_stride` apart.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);
    /// Transposes sixteen rows of eight floats.
    #[inline(always)]
    unsafe fn transpose_tall(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller guarantees the pointers.
        unsafe {
            Self::transpose(from, from_stride, to, to_stride);
            Self::transpose(from.add(8 * from_stride), from_stride, to.add(8), to_stride);
        }
    }
    /// Prefetches the cache line at `at`, which need not be valid, into the L2 cache. Does nothing
    /// if there is no instruction for it.
    #[inline(always)]
    unsafe fn ask_for(_at: *const f32) {}
}

/// Eight floats that the compiler maps to the target's registers.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Vector for Portable {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees the pointer.
        Self(unsafe { from.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees the pointer.
        unsafe { to.cast::<[f32; 8]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller guarantees the pointer.
        unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count) };
        Self(lanes)
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: the caller guarantees the pointer.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count) }
    }

    #[inline(always)]
    unsafe fn load_every_second(from: *const f32) -> Self {
        // SAFETY: the caller guarantees the pointer.
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
        Self(std::array::from_fn(|i| {
            match cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                true => self.0[i].mul_add(factor.0[i], sum.0[i]),
                false => self.0[i] * factor.0[i] + sum.0[i],
            }
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
                // SAFETY: the caller guarantees the pointers.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
            }
        }
    }
}
