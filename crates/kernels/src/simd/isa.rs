//! The levels of vector instructions, and the active one.

use crate::Error;
use std::sync::LazyLock;

/// The environment variable that selects a level instead of the best one of the processor; read
/// once.
const SETTING: &str = "BRAINPRIOR_SIMD";

/// The instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512 with BF16 and AMX tiles, as on Sapphire Rapids ([`super::tiles`]); everything except
    /// bfloat16 products is as in [`Isa::Avx512Bf16`].
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// AVX-512 with BF16, as on Cooper Lake, Sapphire Rapids and Zen 4; everything in f32 is as in
    /// [`Isa::Avx512`].
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// AVX-512 with F, BW, DQ and VL, as on all processors since Skylake-X and Zen 4: 16 floats.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA: 8 floats.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON, on every 64-bit ARM processor: 8 floats, in two registers.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// The baseline of the architecture: 8 floats, assigned to registers by the compiler.
    Portable,
}

impl Isa {
    /// All levels of the architecture, best first.
    const ALL: &[Isa] = &[
        #[cfg(target_arch = "x86_64")]
        Isa::Amx,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon,
        Isa::Portable,
    ];

    /// The levels of this processor, best first.
    pub(crate) fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.iter().copied().filter(|isa| isa.is_detected())
    }

    /// Whether the processor has every feature of the level in [`super::at_level!`], and tiles if
    /// the level has them.
    fn is_detected(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => {
                // Ask the system for tiles only once.
                static DETECTED: LazyLock<bool> = LazyLock::new(super::tiles::is_detected);
                Isa::Avx512Bf16.is_detected() && *DETECTED
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => is_x86_feature_detected!("avx512bf16") && Isa::Avx512.is_detected(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Isa::Portable => true,
        }
    }

    /// The active level: the one selected by `BRAINPRIOR_SIMD`, or the best.
    ///
    /// # Errors
    /// Returns [`Error::Simd`] if the variable has an unknown level or one that this processor does
    /// not have. Every operation checks this with its other arguments before it computes.
    pub(crate) fn chosen() -> Result<Isa, Error> {
        static CHOSEN: LazyLock<Result<Isa, Error>> = LazyLock::new(|| {
            let setting =
                std::env::var_os(SETTING).map(|setting| setting.to_string_lossy().into_owned());
            choose(setting.as_deref(), &Isa::available().collect::<Vec<_>>())
        });
        CHOSEN.clone()
    }

    /// Like [`Isa::chosen`], after the operation has checked it.
    pub(crate) fn active() -> Isa {
        static ACTIVE: LazyLock<Isa> = LazyLock::new(|| Isa::chosen().unwrap_or(Isa::Portable));
        *ACTIVE
    }

    /// The value of the variable for this level.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => "amx",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => "avx512bf16",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
            Isa::Portable => "portable",
        }
    }

    /// Floats per vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx | Isa::Avx512Bf16 | Isa::Avx512 => 16,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => 8,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => 8,
            Isa::Portable => 8,
        }
    }

    /// Whether the registers hold twice as many sums in addition to the factors.
    pub(crate) fn wide(self) -> bool {
        self.lanes() == 16
    }
}

/// The level in `available` (best first) that `setting` selects.
fn choose(setting: Option<&str>, available: &[Isa]) -> Result<Isa, Error> {
    match setting {
        None => Ok(available[0]),
        Some(name) => {
            available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| Error::Simd {
                found: name.to_owned(),
                available: available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", "),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_names_a_level_that_the_processor_has() {
        assert_eq!(choose(None, Isa::ALL).unwrap(), Isa::ALL[0]);
        for isa in Isa::ALL {
            assert_eq!(choose(Some(isa.name()), Isa::ALL).unwrap(), *isa);
        }
        for refused in ["amx", "avx512bf16", "avx512", "neon", "", "Portable", "sse9"] {
            let error = choose(Some(refused), &[Isa::Portable]).unwrap_err().to_string();
            assert!(error.contains(&format!("BRAINPRIOR_SIMD is {refused:?}")), "{error}");
            assert!(error.contains("this processor has portable"), "{error}");
        }
    }
}
