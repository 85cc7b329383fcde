//! Clean accuracy, and which images are classified correctly.

use crate::criterion::decision;
use crate::pass::logits_of;
use crate::{Classifier, LabeledBatch, Result, Settings};

/// An accuracy, stored as counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accuracy {
    correct: usize,
    images: usize,
}

impl Accuracy {
    /// `correct` out of `images`.
    pub(crate) fn new(correct: usize, images: usize) -> Self {
        debug_assert!(correct <= images, "{correct} of {images} images");
        Self { correct, images }
    }

    /// Images classified correctly; under attack, images that withstand it.
    pub fn correct(self) -> usize {
        self.correct
    }

    /// Images tested.
    pub fn images(self) -> usize {
        self.images
    }

    /// Fraction of images classified correctly; `None` if there are no images.
    pub fn share(self) -> Option<f64> {
        (self.images > 0).then(|| self.correct as f64 / self.images as f64)
    }
}

/// Whether the model classifies each image correctly.
///
/// # Errors
/// Returns [`Error::Label`](crate::Error::Label) if a label or target has no logit,
/// [`Error::NotFinite`](crate::Error::NotFinite) if a logit is not finite, and
/// [`Error::Model`](crate::Error::Model) if the model fails.
pub fn correct(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Vec<bool>> {
    let rows = logits_of(model, labeled, settings)?;
    Ok(rows.iter().enumerate().map(|(index, row)| decision(row) == labeled.label(index)).collect())
}

/// Number of images that the model classifies correctly.
///
/// # Errors
/// Returns the errors of [`correct`].
pub fn accuracy(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Accuracy> {
    let correct = correct(model, labeled, settings)?;
    Ok(Accuracy::new(correct.iter().filter(|correct| **correct).count(), labeled.len()))
}

/// Which unperturbed images are already adversarial.
pub(crate) fn already_adversarial(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Vec<bool>> {
    let rows = logits_of(model, labeled, settings)?;
    Ok(rows.iter().enumerate().map(|(index, row)| labeled.criterion(index).is_met(row)).collect())
}
