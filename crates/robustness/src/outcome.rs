//! Outcomes of attacks.

use crate::{Accuracy, Counts, LabeledBatch};

/// The outcome for one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Whether the unperturbed image was already adversarial (misclassified, or of the target
    /// class). Such an image is not attacked.
    pub already: bool,
    /// Whether the final image, verified on its own, is adversarial. True if it already was.
    pub success: bool,
    /// Distance between the final image and the original in the attack's norm, at most epsilon.
    pub distance: f64,
    /// Cost of the attack, without the verification.
    pub counts: Counts,
}

/// Outcomes of an attack on all images.
#[derive(Clone, Debug, PartialEq)]
pub struct Attacked {
    outcomes: Vec<Outcome>,
    area: usize,
    finals: Vec<f32>,
}

impl Attacked {
    /// All images unperturbed, before any attack.
    pub(crate) fn unharmed(labeled: &LabeledBatch, already: &[bool]) -> Self {
        let outcome = |already: &bool| Outcome {
            already: *already,
            success: *already,
            distance: 0.0,
            counts: Counts::default(),
        };
        let finals = (0..labeled.len()).flat_map(|index| labeled.image(index)).copied().collect();
        Self { outcomes: already.iter().map(outcome).collect(), area: labeled.area(), finals }
    }

    /// Records whether image `index` is already adversarial.
    pub(crate) fn set_already(&mut self, index: usize, already: bool) {
        (self.outcomes[index].already, self.outcomes[index].success) = (already, already);
    }

    /// Records the outcome for image `index`.
    pub(crate) fn set(&mut self, index: usize, outcome: Outcome, pixels: &[f32]) {
        self.outcomes[index] = outcome;
        self.finals[index * self.area..(index + 1) * self.area].copy_from_slice(pixels);
    }

    /// The outcome for each image.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The final image `index`, in [0, 1] and within epsilon of the original, adversarial or not.
    ///
    /// # Panics
    /// Panics if `index` is out of range.
    pub fn image(&self, index: usize) -> &[f32] {
        &self.finals[index * self.area..(index + 1) * self.area]
    }

    /// Number of images that withstood, out of all: for misclassification, the accuracy under
    /// attack.
    pub fn accuracy(&self) -> Accuracy {
        let standing = self.outcomes.iter().filter(|outcome| !outcome.success).count();
        Accuracy::new(standing, self.outcomes.len())
    }

    /// Total cost over all images.
    pub(crate) fn counts(&self) -> Counts {
        self.outcomes.iter().fold(Counts::default(), |sum, outcome| sum.plus(outcome.counts))
    }
}
