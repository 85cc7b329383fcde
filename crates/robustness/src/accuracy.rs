//! Accuracy, and which images are classified rightly as they are.

use crate::criterion::decision;
use crate::pass::logits_of;
use crate::{Classifier, LabeledBatch, Result, Settings};

/// An accuracy as the counts that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accuracy {
    correct: usize,
    images: usize,
}

impl Accuracy {
    /// Of so many images, of which `correct` are classified rightly.
    pub(crate) fn new(correct: usize, images: usize) -> Self {
        debug_assert!(correct <= images, "{correct} of {images} images");
        Self { correct, images }
    }

    /// Images that are classified rightly, under attack those that withstand.
    pub fn correct(self) -> usize {
        self.correct
    }

    /// Images tested.
    pub fn images(self) -> usize {
        self.images
    }

    /// Share of the images that are classified rightly; `None` of no images.
    pub fn share(self) -> Option<f64> {
        (self.images > 0).then(|| self.correct as f64 / self.images as f64)
    }
}

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

/// How many of the images the model classifies rightly.
///
/// # Errors
/// Returns the errors of [`correct`].
pub fn accuracy(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Accuracy> {
    let correct = correct(model, labeled, settings)?;
    Ok(Accuracy::new(correct.iter().filter(|correct| **correct).count(), labeled.len()))
}

/// Which images are adversarial as they are.
pub(crate) fn already_adversarial(model: &dyn Classifier, labeled: &LabeledBatch, settings: Settings) -> Result<Vec<bool>> {
    let rows = logits_of(model, labeled, settings)?;
    Ok(rows.iter().enumerate().map(|(index, row)| labeled.criterion(index).is_met(row)).collect())
}
