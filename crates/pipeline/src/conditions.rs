//! What is trained: conditions, and arms of the grid, which are conditions with settings of their own.

use super::config::Training;
use super::overrides;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// What the classifier's similarities are pulled towards, or what else is done to make it robust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Cross entropy alone.
    None,
    /// Similarity of predicted responses.
    Denoised,
    /// The denoised similarity under one permutation of the images.
    Shuffled,
    /// Similarity of single trials.
    Raw,
    /// Similarity of the repeat averages, over the oracle images alone.
    Oracle,
    /// Similarity of the images' pixels.
    Pixels,
    /// The denoised similarity, brought to -1, 0 or 1 (Attias et al. 2024).
    Thresholded,
    /// Similarity of the features of a trained network.
    Features,
    /// Similarity of the class labels, on pairs of training images: the regulariser without a brain.
    Labels,
    /// Cross entropy alone, stopped at the first epoch as accurate as another condition's network.
    StoppedEarly,
    /// Cross entropy alone, with a noisy copy of each image.
    NoiseAugmented,
    /// Cross entropy alone, on images attacked by projected gradient ascent.
    Adversarial,
}

impl Condition {
    /// As in configuration and artifacts.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Denoised => "denoised",
            Self::Shuffled => "shuffled",
            Self::Raw => "raw",
            Self::Oracle => "oracle",
            Self::Pixels => "pixels",
            Self::Thresholded => "thresholded",
            Self::Features => "features",
            Self::Labels => "labels",
            Self::StoppedEarly => "stopped-early",
            Self::NoiseAugmented => "noise-augmented",
            Self::Adversarial => "adversarial",
        }
    }

    /// Whether stage `similarity` makes a matrix for it.
    pub fn has_matrix(self) -> bool {
        matches!(
            self,
            Self::Denoised | Self::Shuffled | Self::Raw | Self::Oracle | Self::Pixels | Self::Thresholded | Self::Features
        )
    }

    /// Whether pairs are trained on.
    pub fn has_target(self) -> bool {
        self.has_matrix() || self == Self::Labels
    }
}

/// One line of `training.conditions`: a condition and, behind it, settings that differ from those of `[training]`, as in
/// `denoised alpha=80 layers=[0]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arm {
    condition: Condition,
    changes: Vec<String>,
    name: String,
}

impl Arm {
    /// What is trained.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// As in configuration and results.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As in the names of folders.
    pub fn folder(&self) -> String {
        self.name.replace(' ', "_")
    }

    /// `[training]` with this arm's own settings.
    pub fn settings(&self, training: &Training) -> Result<Training> {
        let wrong = || format!("training.conditions: `{}`", self.name);
        let base = toml::to_string(training).with_context(wrong)?;
        overrides::layer(&base, None, &self.changes).and_then(|table| Ok(table.try_into()?)).with_context(wrong)
    }
}

impl TryFrom<String> for Arm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default().to_owned();
        let condition = Condition::deserialize(serde::de::value::StringDeserializer::<serde::de::value::Error>::new(word))
            .map_err(|error| error.to_string())?;
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
    use super::super::config::Config;
    use super::*;

    fn arm(text: &str) -> Arm {
        Arm::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_line_is_a_condition_with_settings_of_its_own() {
        let training = Config::load(None, &[]).unwrap().training;
        let found = arm("denoised  alpha=80 layers=[0,2]");
        assert_eq!((found.condition(), found.name()), (Condition::Denoised, "denoised alpha=80 layers=[0,2]"));
        assert_eq!(found.folder(), "denoised_alpha=80_taps=[0,2]");
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
