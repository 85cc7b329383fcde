//! Numeric precision of a network.

use crate::simd::Isa;
use serde::{Deserialize, Serialize};

/// The type in which the values of a network are stored and multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Everything is f32.
    #[default]
    F32,
    /// Features and their gradients are bfloat16, and so are the factors of convolutions; sums,
    /// statistics, losses, parameters and their updates are f32.
    Mixed,
}

impl Precision {
    /// Whether everything is f32, the default.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
        }
    }
}

/// The vector instructions in use, as a name that `BRAINPRIOR_SIMD` accepts. Results of mixed
/// precision have the same bits only with the same instructions.
pub fn instruction_set() -> &'static str {
    Isa::active().name()
}
