//! What became of the images under attack.

use crate::{Accuracy, Counts, LabeledBatch};

/// What became of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Whether the image was adversarial as it was (misclassified, or of the target class). Then nothing was attacked.
    pub already: bool,
    /// Whether the final image, verified on its own, is adversarial. True where it was so already.
    pub success: bool,
    /// Distance of the final image from the original, in the attack's norm; never above epsilon.
    pub distance: f64,
    /// What it cost. The verification is not counted.
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
    /// Every image as it is, before any attack.
    pub(crate) fn unharmed(labeled: &LabeledBatch, already: &[bool]) -> Self {
        let outcome = |already: &bool| Outcome { already: *already, success: *already, distance: 0.0, counts: Counts::default() };
        let finals = (0..labeled.len()).flat_map(|index| labeled.image(index)).copied().collect();
        Self { outcomes: already.iter().map(outcome).collect(), area: labeled.area(), finals }
    }

    /// Enters whether image `index` is adversarial as it is.
    pub(crate) fn set_already(&mut self, index: usize, already: bool) {
        (self.outcomes[index].already, self.outcomes[index].success) = (already, already);
    }

    /// Enters what became of image `index`.
    pub(crate) fn set(&mut self, index: usize, outcome: Outcome, pixels: &[f32]) {
        self.outcomes[index] = outcome;
        self.finals[index * self.area..(index + 1) * self.area].copy_from_slice(pixels);
    }

    /// What became of each image.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The final image `index`, in [0, 1] and within epsilon of the original, whether it is adversarial or not.
    ///
    /// # Panics
    /// Panics on an index beyond the images.
    pub fn image(&self, index: usize) -> &[f32] {
        &self.finals[index * self.area..(index + 1) * self.area]
    }

    /// How many of all images withstood: under misclassification, the accuracy under attack.
    pub fn accuracy(&self) -> Accuracy {
        let standing = self.outcomes.iter().filter(|outcome| !outcome.success).count();
        Accuracy::new(standing, self.outcomes.len())
    }

    /// What all images cost together.
    pub(crate) fn counts(&self) -> Counts {
        self.outcomes.iter().fold(Counts::default(), |sum, outcome| sum.plus(outcome.counts))
    }
}
