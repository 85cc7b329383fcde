//! Compiles a loop for every level, and picks the one in use.

/// An item compiled for a level: the features are named here and asked for where an [`super::Isa`] is detected.
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

/// Compiles the generic kernel `fn name<V: Vector, const ..>(&Arguments)` for every level, as functions of a module of the
/// same name that [`instance!`] picks from.
macro_rules! compiled_for_each {
    ($name:ident, $arguments:ty $(, $constant:ident)*) => {
        mod $name {
            use super::*;

            #[cfg(target_arch = "x86_64")]
            $crate::simd::at_level! { avx512
                pub(super) unsafe fn avx512<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: this has the demands of the kernel itself, and the instructions are those of the vector.
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
                // SAFETY: this has the demands of the kernel itself.
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

/// As [`compiled_for_each!`], for a kernel `fn name<V: Vector, B: Bf16<V>, const ..>(&Arguments)`, that [`bf16_instance!`] picks from.
macro_rules! compiled_for_bf16 {
    ($name:ident, $arguments:ty $(, $constant:ident)*) => {
        mod $name {
            use super::*;

            #[cfg(target_arch = "x86_64")]
            $crate::simd::at_level! { avx512bf16
                pub(super) unsafe fn avx512bf16<$(const $constant: usize),*>(arguments: &$arguments) {
                    // SAFETY: this has the demands of the kernel itself, and the instructions are those of the vector.
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
                // SAFETY: this has the demands of the kernel itself.
                unsafe { super::$name::<$crate::simd::Portable, $crate::simd::Emulated, $($constant),*>(arguments) }
            }
        }
    };
}

/// As [`instance!`], of a kernel that [`compiled_for_bf16!`] has compiled.
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

/// Declares a function whose body, plain Rust over slices, is compiled for every level and chosen at each call. What the
/// body calls must be `#[inline(always)]` to be compiled along with it.
///
/// Sums in it keep a fixed number of lanes whatever the width of a vector, and nothing is contracted to fused multiply-adds,
/// so that every level gives the same bits.
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
                    // SAFETY: a level is active only where the processor has every feature that it is compiled for.
                    unsafe { avx512($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Isa::Avx2 => {
                    $crate::simd::at_level! { avx2 fn avx2($($argument: $type),*) $(-> $output)? $body }
                    // SAFETY: as above.
                    unsafe { avx2($($argument),*) }
                }
                // What every processor has includes NEON there.
                #[cfg(target_arch = "aarch64")]
                $crate::simd::Isa::Neon => portable($($argument),*),
                $crate::simd::Isa::Portable => portable($($argument),*),
            }
        }
    };
}

pub(crate) use {at_level, bf16_instance, compiled_for_bf16, compiled_for_each, instance, vectorized};
