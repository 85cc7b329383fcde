//! What is trained: conditions, and arms of the grid, which are conditions with settings of their own.

use super::Training;
use super::overrides;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// An enum whose variants have the names that configuration and artifacts use, and a list that cannot lack one of them.
macro_rules! named {
    ($(#[$about:meta])* enum $Enum:ident { $($(#[$meaning:meta])* $Variant:ident = $name:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum $Enum {
            $($(#[$meaning])* $Variant,)*
        }

        impl $Enum {
            const ALL: &[Self] = &[$(Self::$Variant,)*];

            /// As in configuration and artifacts.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)*
                }
            }
        }
    };
}

named! {
    /// A matrix that stage `similarity` makes, for a classifier whose similarities are pulled towards it.
    enum MatrixTarget {
        /// Similarity of predicted responses.
        Denoised = "denoised",
        /// The denoised similarity under one permutation of the images.
        Shuffled = "shuffled",
        /// Similarity of single trials.
        Raw = "raw",
        /// Similarity of the repeat averages, over the oracle images alone.
        Oracle = "oracle",
        /// Similarity of the images' pixels.
        Pixels = "pixels",
        /// The denoised similarity, brought to -1, 0 or 1 (Attias et al. 2024).
        Thresholded = "thresholded",
        /// Similarity of the features of a trained network.
        Features = "features",
    }
}

named! {
    /// What is done without a matrix.
    enum Control {
        /// Cross entropy alone.
        None = "none",
        /// Similarity of the class labels, on pairs of training images: the regularizer without a brain.
        Labels = "labels",
        /// Cross entropy alone, stopped at the first epoch as accurate as another condition's network.
        StoppedEarly = "stopped-early",
        /// Cross entropy alone, with a noisy copy of each image.
        NoiseAugmented = "noise-augmented",
        /// Cross entropy alone, on images attacked by projected gradient ascent.
        Adversarial = "adversarial",
    }
}

/// What the classifier's similarities are pulled towards, or what else is done to make it robust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// A matrix that stage `similarity` makes.
    Matrix(MatrixTarget),
    /// Everything else.
    Control(Control),
}

impl Condition {
    /// Cross entropy alone.
    pub(crate) const NONE: Self = Self::Control(Control::None);

    /// As in configuration and artifacts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Matrix(target) => target.name(),
            Self::Control(control) => control.name(),
        }
    }

    /// The matrix that stage `similarity` makes for it.
    pub(crate) fn matrix(self) -> Option<MatrixTarget> {
        match self {
            Self::Matrix(target) => Some(target),
            Self::Control(_) => None,
        }
    }

    /// Whether pairs are trained on.
    pub(crate) fn has_target(self) -> bool {
        match self {
            Self::Matrix(_) => true,
            Self::Control(control) => match control {
                Control::Labels => true,
                Control::None | Control::StoppedEarly | Control::NoiseAugmented | Control::Adversarial => false,
            },
        }
    }

    /// Whether it is [`Control::StoppedEarly`].
    pub(crate) fn is_stopped_early(self) -> bool {
        self == Self::Control(Control::StoppedEarly)
    }

    fn all() -> impl Iterator<Item = Self> {
        let matrices = MatrixTarget::ALL.iter().copied().map(Self::Matrix);
        matrices.chain(Control::ALL.iter().copied().map(Self::Control))
    }

    fn named(name: &str) -> Result<Self, String> {
        Self::all().find(|condition| condition.name() == name).ok_or_else(|| {
            let known = Self::all().map(|condition| format!("`{}`", condition.name())).collect::<Vec<_>>().join(", ");
            format!("unknown condition `{name}`, expected one of {known}")
        })
    }
}

/// One line of `training.conditions`: a condition and, behind it, settings that differ from those of `[training]`, as in
/// `denoised alpha=80 layers=[0]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Arm {
    condition: Condition,
    changes: Vec<String>,
    name: String,
}

impl Arm {
    /// What is trained.
    pub(crate) fn condition(&self) -> Condition {
        self.condition
    }

    /// As in configuration and results.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As in the names of folders.
    pub(crate) fn folder(&self) -> String {
        self.name.replace(' ', "_")
    }

    /// `[training]` with this arm's own settings.
    pub(crate) fn settings(&self, training: &Training) -> Result<Training> {
        let wrong = || format!("training.conditions: `{}`", self.name);
        let base = toml::to_string(training).with_context(wrong)?;
        overrides::layer(&base, None, &self.changes).and_then(|table| Ok(table.try_into()?)).with_context(wrong)
    }
}

impl TryFrom<String> for Arm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let condition = Condition::named(words.next().unwrap_or_default())?;
        let changes: Vec<String> = words.map(str::to_owned).collect();
        let name = std::iter::once(condition.name().to_owned()).chain(changes.iter().cloned()).collect::<Vec<_>>().join(" ");
        Ok(Self { condition, changes, name })
    }
}

impl From<Arm> for String {
    fn from(arm: Arm) -> Self {
        arm.name
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn arm(text: &str) -> Arm {
        Arm::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_line_is_a_condition_with_settings_of_its_own() {
        let training = Config::load(None, &[]).unwrap().training;
        let found = arm("denoised  alpha=80 layers=[0,2]");
        assert_eq!(
            (found.condition(), found.name()),
            (Condition::Matrix(MatrixTarget::Denoised), "denoised alpha=80 layers=[0,2]")
        );
        assert_eq!(found.folder(), "denoised_alpha=80_layers=[0,2]");
        let settings = found.settings(&training).unwrap();
        assert_eq!((settings.alpha, settings.layers), (80.0, vec![0, 2]));
        assert_eq!(settings.pairs, training.pairs);
    }

    #[test]
    fn what_a_line_gets_wrong_is_named() {
        let training = Config::load(None, &[]).unwrap().training;
        let error = format!("{:#}", arm("denoised alfa=80").settings(&training).unwrap_err());
        assert!(error.contains("`denoised alfa=80`") && error.contains("did you mean `alpha`"), "{error}");
        let error = Arm::try_from("denoise".to_owned()).unwrap_err();
        assert!(error.contains("denoise") && error.contains("noise-augmented"), "{error}");
    }
}
