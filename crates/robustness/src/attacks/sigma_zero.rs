//! The sigma-zero attack.

use super::adam::Adam;
use super::falling;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// Gradient descent on the sum of the margin and a smooth count of the changed values; after each
/// step, small changes are undone (Cina et al. 2025); L0.
///
/// The defaults are those of the paper. The count is the sum of d^2 / (d^2 + 0.001) divided by the
/// number of values. Gradients are divided by their largest value and give Adam steps, annealed
/// from 1 to 0.1 along a cosine. Changes below a threshold are undone; it starts at 0.3, rises by
/// 0.01 of the step while the point is adversarial and falls by as much while it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigmaZero {
    steps: usize,
}

const SMOOTHING: f64 = 0.001;
const FIRST_THRESHOLD: f64 = 0.3;
const THRESHOLD_CHANGE: f64 = 0.01;
const LAST_STEP: f64 = 0.1;

impl Default for SigmaZero {
    fn default() -> Self {
        Self { steps: 1000 }
    }
}

impl SigmaZero {
    /// Sets the number of steps.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps }
    }
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    adam: Adam,
    threshold: f64,
}

impl Attack for SigmaZero {
    fn name(&self) -> String {
        "sigma-zero".into()
    }

    fn norm(&self) -> Norm {
        Norm::L0
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let area = batch.area();
        let start = |image| Walker {
            image,
            point: batch.original(image).to_vec(),
            adam: Adam::new(area),
            threshold: FIRST_THRESHOLD,
        };
        let mut walkers: Vec<Walker> = batch.all().into_iter().map(start).collect();
        for step in 0..self.steps {
            if walkers.is_empty() {
                break;
            }
            let falling = falling(step, self.steps);
            let length = LAST_STEP + (1.0 - LAST_STEP) * falling;
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let points: Vec<f32> =
                walkers.iter().flat_map(|walker| &walker.point).copied().collect();
            let gradients = batch.gradients(&images, &points, Loss::Margin)?;
            let mut row = 0;
            walkers.retain_mut(|walker| {
                row += 1;
                let adversarial =
                    batch.criterion(walker.image).is_clearly_met(gradients.logits(row - 1));
                if adversarial {
                    batch.keep_if_closer(walker.image, &walker.point);
                }
                walker.advance(
                    batch.original(walker.image),
                    gradients.of(row - 1),
                    adversarial,
                    length,
                );
                !batch.satisfied(walker.image)
            });
        }
        Ok(())
    }
}

impl Walker {
    fn advance(&mut self, original: &[f32], gradient: &[f32], adversarial: bool, length: f64) {
        let area = original.len() as f64;
        let change = |(value, original): (&f32, &f32)| f64::from(*value) - f64::from(*original);
        let changes: Vec<f64> = self.point.iter().zip(original).map(change).collect();
        let slopes: Vec<f64> = changes
            .iter()
            .zip(gradient)
            .map(|(change, slope)| {
                let squares = change * change + SMOOTHING;
                // Beyond the decision boundary only the count matters.
                let towards = if adversarial { 0.0 } else { -f64::from(*slope) };
                towards + 2.0 * change * SMOOTHING / (squares * squares * area)
            })
            .collect();
        let largest = slopes.iter().fold(1e-12f64, |max, slope| max.max(slope.abs()));
        let steps = self.adam.step(slopes.into_iter().map(|slope| slope / largest));
        self.threshold +=
            if adversarial { THRESHOLD_CHANGE * length } else { -THRESHOLD_CHANGE * length };
        self.threshold = self.threshold.clamp(0.0, 1.0);
        for (index, (value, original)) in self.point.iter_mut().zip(original).enumerate() {
            let moved = ((f64::from(*original) + changes[index] + length * steps[index].0) as f32)
                .clamp(0.0, 1.0);
            let stays = (f64::from(moved) - f64::from(*original)).abs() >= self.threshold;
            *value = if stays { moved } else { *original };
        }
    }
}
