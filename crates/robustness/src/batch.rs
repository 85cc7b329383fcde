//! What an attack works on: some images, how far each may move, and the model's gradients.

use crate::model::{Ascent, Loss};
use crate::{Classifier, Examples, Norm, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Images under attack. An attack moves the candidates; it may ask for gradients and for each image's random numbers.
pub struct Batch<'a> {
    model: &'a dyn Classifier,
    examples: &'a Examples,
    indices: &'a [usize],
    epsilons: &'a [f64],
    seed: u64,
    candidates: Vec<f32>,
    gradient_calls: Vec<usize>,
    zero_gradients: Vec<usize>,
}

/// Gradients at the candidates of some images of a batch.
pub struct Gradients {
    area: usize,
    values: Vec<f32>,
    misled: Vec<bool>,
}

impl Gradients {
    /// Gradient for the `index`-th of the images asked for. Its direction is that of the loss; the length of
    /// cross-entropy's is scaled per image so that it does not vanish where the model is certain.
    pub fn of(&self, index: usize) -> &[f32] {
        &self.values[index * self.area..(index + 1) * self.area]
    }

    /// Whether the `index`-th of the images asked for is misclassified as it stands, beyond doubt of rounding.
    pub fn misled(&self, index: usize) -> bool {
        self.misled[index]
    }
}

impl<'a> Batch<'a> {
    /// The images of `examples` at `indices`, each with its epsilon, unmoved.
    pub(crate) fn new(
        model: &'a dyn Classifier,
        examples: &'a Examples,
        indices: &'a [usize],
        epsilons: &'a [f64],
        seed: u64,
    ) -> Self {
        assert_eq!(indices.len(), epsilons.len(), "an epsilon for each image");
        let candidates = indices.iter().flat_map(|index| examples.image(*index)).copied().collect();
        let zeros = vec![0; indices.len()];
        Self { model, examples, indices, epsilons, seed, candidates, gradient_calls: zeros.clone(), zero_gradients: zeros }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Image `image` as it was given.
    pub fn original(&self, image: usize) -> &[f32] {
        self.examples.image(self.indices[image])
    }

    /// How far image `image` may move.
    pub fn epsilon(&self, image: usize) -> f64 {
        self.epsilons[image]
    }

    /// Where image `image` stands.
    pub fn candidate(&self, image: usize) -> &[f32] {
        &self.candidates[image * self.examples.area()..(image + 1) * self.examples.area()]
    }

    /// Moves image `image` from `start` by `length` along `direction`, then back within its epsilon and [0, 1].
    pub fn place(&mut self, image: usize, norm: Norm, start: &[f32], direction: &[f64], length: f64) {
        let mut moved: Vec<f32> =
            start.iter().zip(direction).map(|(value, step)| (f64::from(*value) + length * step) as f32).collect();
        norm.project(self.original(image), &mut moved, self.epsilons[image]);
        let area = self.examples.area();
        self.candidates[image * area..(image + 1) * area].copy_from_slice(&moved);
    }

    /// Random numbers of image `image`: the same in any batch, others for each `attempt`.
    pub fn generator(&self, image: usize, attempt: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed ^ attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        generator.set_stream(self.examples.numbers()[self.indices[image]] as u64);
        generator
    }

    /// Gradients of `loss` at the candidates of `images`, each counted as one call.
    ///
    /// # Errors
    /// A label without a logit; a logit or gradient that is not finite; a failing model.
    pub fn gradients(&mut self, images: &[usize], loss: Loss) -> Result<Gradients> {
        let pixels: Vec<f32> = images.iter().flat_map(|image| self.candidate(*image)).copied().collect();
        let labels: Vec<usize> = images.iter().map(|image| self.examples.label(self.indices[*image])).collect();
        let numbers: Vec<usize> = images.iter().map(|image| self.examples.numbers()[self.indices[*image]]).collect();
        let ascent = Ascent::of(self.model, loss, self.examples.shape(), &pixels, &labels, &numbers)?;
        let misled = labels.iter().enumerate().map(|(row, label)| ascent.logits.clearly_misled(row, *label)).collect();
        let gradients = Gradients { area: self.examples.area(), values: ascent.gradients, misled };
        for (index, image) in images.iter().enumerate() {
            self.gradient_calls[*image] += 1;
            self.zero_gradients[*image] += usize::from(gradients.of(index).iter().all(|value| *value == 0.0));
        }
        Ok(gradients)
    }

    /// Gradients asked for and those that were all zero, for image `image`.
    pub(crate) fn counts(&self, image: usize) -> (usize, usize) {
        (self.gradient_calls[image], self.zero_gradients[image])
    }
}
