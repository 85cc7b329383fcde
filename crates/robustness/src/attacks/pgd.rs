//! Projected gradient descent.

use crate::{Attack, Batch, Loss, Norm, Result};
use rand::Rng;
use rand_distr::StandardNormal;

/// Steps along the gradient, each followed by the way back into the ball (Madry et al. 2018).
///
/// The defaults are those of Foolbox 3.3: Linf 40 steps of 0.01/0.3 epsilon, L2 50 steps of 0.025 epsilon, from a random
/// point of the ball, once. Other than there, an image that is misclassified on the way stays where it is: the attack is
/// as strong and the result is found with fewer gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd {
    norm: Norm,
    loss: Loss,
    steps: usize,
    /// Length of all steps together, in epsilons.
    path: f64,
    random_start: bool,
    restarts: usize,
}

impl Pgd {
    /// With Foolbox's defaults for this norm.
    pub fn new(norm: Norm) -> Self {
        let (steps, path) = match norm {
            Norm::Linf => (40, 40.0 * 0.01 / 0.3),
            Norm::L2 => (50, 50.0 * 0.025),
        };
        Self { norm, loss: Loss::CrossEntropy, steps, path, random_start: true, restarts: 1 }
    }

    /// With another number of steps (at least 1), whose lengths change so that all together reach as far.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps: steps.max(1), ..self }
    }

    /// With another loss than cross-entropy.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// With steps of this many epsilons.
    pub fn with_relative_step(self, relative_step: f64) -> Self {
        Self { path: relative_step * self.steps as f64, ..self }
    }

    /// With this many attempts (at least 1), each from another random point.
    pub fn with_restarts(self, restarts: usize) -> Self {
        Self { restarts: restarts.max(1), ..self }
    }

    /// The first attempt starts at the image itself; restarts still start at random. Without steps lost on the way back
    /// from a random point, this reaches the closed-form optimum on a linear model.
    pub fn from_the_image(self) -> Self {
        Self { random_start: false, ..self }
    }

    fn start(&self, batch: &mut Batch, image: usize, attempt: usize) {
        let original = batch.original(image).to_vec();
        if attempt == 0 && !self.random_start {
            batch.place(image, self.norm, &original, &vec![0.0; original.len()], 0.0);
            return;
        }
        let mut generator = batch.generator(image, attempt as u64);
        let direction: Vec<f64> = match self.norm {
            Norm::Linf => original.iter().map(|_| generator.random_range(-1.0..1.0)).collect(),
            // Uniform in the ball: a uniform direction, and a radius whose power is uniform.
            Norm::L2 => {
                let normal: Vec<f64> = original.iter().map(|_| generator.sample(StandardNormal)).collect();
                let length = normal.iter().map(|value| value * value).sum::<f64>().sqrt();
                let radius = generator.random::<f64>().powf(1.0 / original.len() as f64);
                normal.iter().map(|value| value / length * radius).collect()
            }
        };
        let epsilon = batch.epsilon(image);
        batch.place(image, self.norm, &original, &direction, epsilon);
    }
}

impl Attack for Pgd {
    fn name(&self) -> &'static str {
        "pgd"
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let relative_step = self.path / self.steps as f64;
        let mut active: Vec<usize> = (0..batch.len()).collect();
        for attempt in 0..self.restarts {
            for image in &active {
                self.start(batch, *image, attempt);
            }
            // One look more than steps where another attempt would overwrite the last candidate.
            let looks = self.steps + usize::from(attempt + 1 < self.restarts);
            for look in 0..looks {
                if active.is_empty() {
                    return Ok(());
                }
                let gradients = batch.gradients(&active, self.loss)?;
                let mut remaining = Vec::with_capacity(active.len());
                for (index, image) in active.iter().copied().enumerate() {
                    if gradients.misled(index) {
                        continue;
                    }
                    remaining.push(image);
                    if look < self.steps {
                        let (start, length) = (batch.candidate(image).to_vec(), relative_step * batch.epsilon(image));
                        batch.place(image, self.norm, &start, &self.norm.steepest(gradients.of(index)), length);
                    }
                }
                active = remaining;
            }
        }
        Ok(())
    }
}
