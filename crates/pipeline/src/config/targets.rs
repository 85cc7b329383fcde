//! Targets of the similarity loss.

use serde::{Deserialize, Serialize};

/// An enum with the names used in configuration and artifacts, and a list that cannot miss a
/// variant.
macro_rules! named {
    ($(#[$about:meta])* enum $Enum:ident { $($(#[$meaning:meta])* $Variant:ident = $name:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum $Enum {
            $($(#[$meaning])* $Variant,)*
        }

        impl $Enum {
            const ALL: &[Self] = &[$(Self::$Variant,)*];

            /// Name in configuration and artifacts.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)*
                }
            }
        }
    };
}

named! {
    /// A matrix made by stage `similarity`.
    enum MatrixTarget {
        /// Similarity of predicted responses.
        Denoised = "denoised",
        /// Similarity of predicted responses combined with the measured ones, weighted by their
        /// precision.
        Combined = "combined",
        /// The denoised similarity with the images permuted.
        Shuffled = "shuffled",
        /// Similarity of Gaussian responses with the denoised eigenspectrum, unrelated to the
        /// images.
        Random = "random",
        /// Similarity of single trials.
        Raw = "raw",
        /// Similarity of the repeat averages, for the oracle images only.
        Oracle = "oracle",
        /// Similarity of the images' pixels.
        Pixels = "pixels",
        /// Similarity of the Gaussian-blurred pixels.
        LowPassPixels = "low-pass-pixels",
        /// Similarity of the energies of oriented filters.
        OrientationEnergy = "orientation-energy",
        /// The denoised similarity, thresholded to -1, 0 or 1 (Attias et al. 2024).
        Thresholded = "thresholded",
        /// Similarity of the features of a trained network.
        Features = "features",
    }
}

/// The target of a classifier's similarity loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Target {
    /// None: no pairs are trained on.
    None,
    /// Similarity of class labels on pairs of training images: regularization without neural data.
    Labels,
    /// A matrix made by stage `similarity`.
    Matrix(MatrixTarget),
}

impl Target {
    /// Name in configuration and artifacts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Labels => "labels",
            Self::Matrix(target) => target.name(),
        }
    }

    /// The matrix that stage `similarity` makes for it.
    pub(crate) fn matrix(self) -> Option<MatrixTarget> {
        match self {
            Self::Matrix(target) => Some(target),
            Self::None | Self::Labels => None,
        }
    }

    /// Whether pairs are trained on.
    pub(crate) fn has_pairs(self) -> bool {
        match self {
            Self::Matrix(_) | Self::Labels => true,
            Self::None => false,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        [Self::None, Self::Labels]
            .into_iter()
            .chain(MatrixTarget::ALL.iter().copied().map(Self::Matrix))
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::all().find(|target| target.name() == name).ok_or_else(|| {
            let known = Self::all()
                .map(|target| format!("`{}`", target.name()))
                .collect::<Vec<_>>()
                .join(", ");
            format!("unknown target `{name}`, expected one of {known}")
        })
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.name().to_owned()
    }
}
