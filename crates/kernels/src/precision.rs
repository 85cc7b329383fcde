//! How exact a network is computed.

use crate::simd::Isa;
use serde::{Deserialize, Serialize};

/// What the values of a network are stored and multiplied as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Everything is f32.
    #[default]
    F32,
    /// Features and their gradients are bfloat16, and so are the factors of convolutions; sums, statistics, losses, parameters and
    /// their updates are f32.
    Mixed,
}

impl Precision {
    /// Whether everything is f32, as where nothing else is asked for.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// As it is written in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Mixed => "mixed",
        }
    }
}

/// The vector instructions in use: the name of one of the levels that `BRAINPRIOR_SIMD` takes. Results of mixed precision are the
/// same bits on the same instructions.
pub fn instruction_set() -> &'static str {
    Isa::active().name()
}
