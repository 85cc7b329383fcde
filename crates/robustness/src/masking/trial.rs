//! Attacks on correctly classified images, and counts of those that fall.

use crate::{Attack, Classifier, LabeledBatch, Result, Settings, attack};

/// Differences of at most this fraction of the images are ignored.
pub(super) const SLACK: f64 = 0.02;

/// A model and images that it classifies correctly.
pub(super) struct Trial<'a> {
    pub(super) model: &'a dyn Classifier,
    pub(super) labeled: &'a LabeledBatch,
    pub(super) settings: Settings,
}

impl Trial<'_> {
    /// Whether each image falls to an attack.
    pub(super) fn fallen(&self, attacker: &dyn Attack, epsilon: f64) -> Result<Vec<bool>> {
        let attacked = attack(self.model, attacker, self.labeled, epsilon, self.settings)?;
        Ok(attacked.outcomes().iter().map(|outcome| outcome.success).collect())
    }
}

/// Fraction of true values; NaN for an empty list.
pub(super) fn share(images: &[bool]) -> f64 {
    counted(images.iter().copied()) as f64 / images.len() as f64
}

/// Number of true values.
pub(super) fn counted(images: impl Iterator<Item = bool>) -> usize {
    images.filter(|image| *image).count()
}
