//! The size of one smallest perturbation, which may only be known to be large.

/// The smallest perturbation found for an image.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Perturbation {
    /// An adversarial image at this distance was found and verified.
    Found(f64),
    /// No perturbation of at most this size was found.
    Censored(f64),
}

impl Perturbation {
    /// Its size, where one was found.
    pub fn found(self) -> Option<f64> {
        match self {
            Self::Found(size) => Some(size),
            Self::Censored(_) => None,
        }
    }

    /// The size that was found, or withstood.
    pub fn size(self) -> f64 {
        match self {
            Self::Found(size) | Self::Censored(size) => size,
        }
    }
}
