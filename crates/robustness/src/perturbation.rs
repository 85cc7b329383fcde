//! Size of the smallest perturbation of one image, possibly known only as a lower bound.

/// The smallest perturbation found for an image.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Perturbation {
    /// An adversarial image at this distance was found and verified.
    Found(f64),
    /// No perturbation of at most this size was found.
    Censored(f64),
}

impl Perturbation {
    /// The size, if a perturbation was found.
    pub fn found(self) -> Option<f64> {
        match self {
            Self::Found(size) => Some(size),
            Self::Censored(_) => None,
        }
    }

    /// The size found or withstood.
    pub fn size(self) -> f64 {
        match self {
            Self::Found(size) | Self::Censored(size) => size,
        }
    }
}
