//! Compiles loops for every level, and selects the active one.

/// Compiles an item for a level. The features here must match the detection in [`super::Isa`].
macro_rules! at_level {
    (avx512bf16 $($item:tt)*) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
        $($item)*
    };
    (avx512 $($item:tt)*) => {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        $($item)*
    };
    (avx2 $($item:tt)*) => {
        #[target_feature(enable = "avx2,fma")]
        $($item)*
    };
    (neon $($item:tt)*) => {
        #[target_feature(enable = "neon")]
        $($item)*
    };
}

/// Compiles the generic kernel `fn name<V: Vector, const ..>(&Arguments)` for every level, as
/// functions in a module of the same name, from which [`instance!`] selects.
macro_rules! compiled_for_each {
    ($name:ident, $arguments:ty $(, $constant:ident)*) => {
        mod $name {
            use super::*;

            #[cfg(target_arch = "x86_64")]
            $crate::simd::at_level! { avx512
                pub(super) unsafe fn avx512<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: the requirements are those of the kernel, and the instructions are
                    // those of the vector.
                    unsafe { super::$name::<$crate::simd::Avx512, $($constant),*>(arguments) }
                }
            }

            #[cfg(target_arch = "x86_64")]
            $crate::simd::at_level! { avx2
                pub(super) unsafe fn avx2<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: as above.
                    unsafe { super::$name::<$crate::simd::Avx2, $($constant),*>(arguments) }
                }
            }

            #[cfg(target_arch = "aarch64")]
            $crate::simd::at_level! { neon
                pub(super) unsafe fn neon<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: as above.
                    unsafe { super::$name::<$crate::simd::Neon, $($constant),*>(arguments) }
                }
            }

            pub(super) unsafe fn portable<$(const $constant: usize),*>(arguments: &$arguments) {
                // SAFETY: the requirements are those of the kernel.
                unsafe { super::$name::<$crate::simd::Portable, $($constant),*>(arguments) }
            }
        }
    };
}

/// The function of a kernel for a level and constants.
macro_rules! instance {
    ($isa:expr, $name:ident $(, $constant:expr)*) => {
        match $isa {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Isa::Amx | $crate::simd::Isa::Avx512Bf16 | $crate::simd::Isa::Avx512 => $name::avx512::<$({ $constant }),*>,
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Isa::Avx2 => $name::avx2::<$({ $constant }),*>,
            #[cfg(target_arch = "aarch64")]
            $crate::simd::Isa::Neon => $name::neon::<$({ $constant }),*>,
            $crate::simd::Isa::Portable => $name::portable::<$({ $constant }),*>,
        }
    };
}

/// Like [`compiled_for_each!`], for kernels `fn name<V: Vector, B: Bf16<V>, const ..>(&Arguments)`;
/// see [`bf16_instance!`].
macro_rules! compiled_for_bf16 {
    ($name:ident, $arguments:ty $(, $constant:ident)*) => {
        mod $name {
            use super::*;

            #[cfg(target_arch = "x86_64")]
            $crate::simd::at_level! { avx512bf16
                pub(super) unsafe fn avx512bf16<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: the requirements are those of the kernel, and the instructions are
                    // those of the vector.
                    unsafe { super::$name::<$crate::simd::Avx512, $crate::simd::Native, $($constant),*>(arguments) }
                }
            }

            #[cfg(target_arch = "x86_64")]
            $crate::simd::at_level! { avx512
                pub(super) unsafe fn avx512<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: as above.
                    unsafe { super::$name::<$crate::simd::Avx512, $crate::simd::Emulated, $($constant),*>(arguments) }
                }
            }

            #[cfg(target_arch = "x86_64")]
            $crate::simd::at_level! { avx2
                pub(super) unsafe fn avx2<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: as above.
                    unsafe { super::$name::<$crate::simd::Avx2, $crate::simd::Emulated, $($constant),*>(arguments) }
                }
            }

            #[cfg(target_arch = "aarch64")]
            $crate::simd::at_level! { neon
                pub(super) unsafe fn neon<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: as above.
                    unsafe { super::$name::<$crate::simd::Neon, $crate::simd::Emulated, $($constant),*>(arguments) }
                }
            }

            pub(super) unsafe fn portable<$(const $constant: usize),*>(arguments: &$arguments) {
                // SAFETY: the requirements are those of the kernel.
                unsafe { super::$name::<$crate::simd::Portable, $crate::simd::Emulated, $($constant),*>(arguments) }
            }
        }
    };
}

/// Like [`instance!`], for a kernel compiled by [`compiled_for_bf16!`].
macro_rules! bf16_instance {
    ($isa:expr, $name:ident $(, $constant:expr)*) => {
        match $isa {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Isa::Amx | $crate::simd::Isa::Avx512Bf16 => $name::avx512bf16::<$({ $constant }),*>,
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Isa::Avx512 => $name::avx512::<$({ $constant }),*>,
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Isa::Avx2 => $name::avx2::<$({ $constant }),*>,
            #[cfg(target_arch = "aarch64")]
            $crate::simd::Isa::Neon => $name::neon::<$({ $constant }),*>,
            $crate::simd::Isa::Portable => $name::portable::<$({ $constant }),*>,
        }
    };
}

/// Declares a function whose body, plain Rust over slices, is compiled for every level; each call
/// selects one. Functions called by the body must be `#[inline(always)]` to be compiled with it.
///
/// Its sums have a fixed number of lanes whatever the vector width, and nothing is contracted to
/// fused multiply-adds, so that every level gives the same bits.
macro_rules! vectorized {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block) => {
        $(#[$attribute])*
        #[allow(clippy::needless_lifetimes)]
        $visibility fn $name($($argument: $type),*) $(-> $output)? {
            fn portable($($argument: $type),*) $(-> $output)? $body

            match $crate::simd::Isa::active() {
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Isa::Amx | $crate::simd::Isa::Avx512Bf16 | $crate::simd::Isa::Avx512 => {
                    $crate::simd::at_level! { avx512 fn avx512($($argument: $type),*) $(-> $output)? $body }
                    // SAFETY: a level is active only if the processor has every feature it is
                    // compiled for.
                    unsafe { avx512($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Isa::Avx2 => {
                    $crate::simd::at_level! { avx2 fn avx2($($argument: $type),*) $(-> $output)? $body }
                    // SAFETY: as above.
                    unsafe { avx2($($argument),*) }
                }
                // The baseline of the architecture includes NEON.
                #[cfg(target_arch = "aarch64")]
                $crate::simd::Isa::Neon => portable($($argument),*),
                $crate::simd::Isa::Portable => portable($($argument),*),
            }
        }
    };
}

pub(crate) use {
    at_level, bf16_instance, compiled_for_bf16, compiled_for_each, instance, vectorized,
};
