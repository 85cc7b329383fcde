//! Accuracy on the images as they are.

use crate::criterion::decision;
use crate::pass::logits_of;
use crate::{Classifier, LabeledBatch, Result, Settings};

/// Whether the model classifies each image rightly.
///
/// # Errors
/// Returns [`Error::Label`](crate::Error::Label) if a label or target has no logit,
/// [`Error::NotFinite`](crate::Error::NotFinite) if a logit is not finite, and [`Error::Model`](crate::Error::Model) if the
/// model fails.
pub fn correct(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Vec<bool>> {
    let rows = logits_of(model, labeled, settings)?;
    Ok(rows.iter().enumerate().map(|(index, row)| decision(row) == labeled.label(index)).collect())
}

/// Share of images that the model classifies rightly; `None` of no images.
///
/// # Errors
/// Returns the errors of [`correct`].
pub fn accuracy(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Option<f64>> {
    Ok(share(&correct(model, labeled, settings)?))
}

/// Which images are adversarial as they are.
pub(crate) fn already_adversarial(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Vec<bool>> {
    let rows = logits_of(model, labeled, settings)?;
    Ok(rows.iter().enumerate().map(|(index, row)| labeled.criterion(index).is_met(row)).collect())
}

pub(crate) fn share(flags: &[bool]) -> Option<f64> {
    let count = flags.iter().filter(|flag| **flag).count();
    (!flags.is_empty()).then(|| count as f64 / flags.len() as f64)
}
