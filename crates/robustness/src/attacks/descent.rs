//! Projected gradient steps, the common part of FGSM, BIM, PGD and MIM.

use crate::{Batch, Loss, Norm, Result};

/// The settings in which these attacks differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Descent {
    pub(crate) norm: Norm,
    pub(crate) loss: Loss,
    pub(crate) steps: usize,
    /// Step length in units of epsilon.
    pub(crate) relative_step: f64,
    /// Whether the first attempt starts at a random point of the ball; restarts always do.
    pub(crate) random_start: bool,
    pub(crate) restarts: usize,
    /// Weight of earlier directions.
    pub(crate) momentum: Option<f64>,
    /// Whether an image stops as soon as it is adversarial. Otherwise all steps run and the last
    /// point counts.
    pub(crate) stop: bool,
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    /// Accumulated directions.
    heading: Vec<f64>,
}

impl Descent {
    pub(crate) fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut standing = batch.all();
        for attempt in 0..self.restarts {
            let mut walkers: Vec<Walker> =
                standing.iter().map(|image| self.start(batch, *image, attempt)).collect();
            // Evaluate the last point too if a restart would discard it.
            let looks = self.steps + usize::from(self.stop && attempt + 1 < self.restarts);
            for look in 0..looks {
                if walkers.is_empty() {
                    return Ok(());
                }
                let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
                let points: Vec<f32> =
                    walkers.iter().flat_map(|walker| &walker.point).copied().collect();
                let gradients = batch.gradients(&images, &points, self.loss)?;
                let mut row = 0;
                walkers.retain_mut(|walker| {
                    row += 1;
                    let (gradient, logits) = (gradients.of(row - 1), gradients.logits(row - 1));
                    let done = self.stop && batch.criterion(walker.image).is_clearly_met(logits);
                    if !done && look < self.steps {
                        let direction = self.direction(gradient, &mut walker.heading);
                        let length = self.relative_step * batch.epsilon(walker.image);
                        walker.point = batch.moved(walker.image, &walker.point, &direction, length);
                    }
                    batch.set_candidate(walker.image, &walker.point);
                    !done
                });
            }
            standing = walkers.into_iter().map(|walker| walker.image).collect();
        }
        Ok(())
    }

    fn start(&self, batch: &Batch, image: usize, attempt: usize) -> Walker {
        let original = batch.original(image);
        let heading = vec![0.0; original.len()];
        if attempt == 0 && !self.random_start {
            return Walker { image, point: original.to_vec(), heading };
        }
        let step =
            self.norm.random_step(original.len(), &mut batch.generator(image, attempt as u64));
        Walker { image, point: batch.moved(image, original, &step, batch.epsilon(image)), heading }
    }

    fn direction(&self, gradient: &[f32], heading: &mut [f64]) -> Vec<f64> {
        let steepest = self.norm.steepest(gradient);
        let Some(momentum) = self.momentum else { return steepest };
        for (sum, step) in heading.iter_mut().zip(steepest) {
            *sum = momentum * *sum + step;
        }
        self.norm.steepest(&heading.iter().map(|value| *value as f32).collect::<Vec<f32>>())
    }
}
