//! Decoupled direction and norm (DDN).

use super::falling;
use crate::norm::gaussian;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// Gradient steps on a sphere around the image whose radius shrinks while the point is adversarial
/// and grows while it is not (Rony et al. 2019); L2.
///
/// The defaults are those of Foolbox 3.3 (`DDNAttack`): 100 steps, an initial radius of 1 that
/// changes by 5% per step, and step lengths annealed from 1 to 0.01 along a cosine. As in Foolbox,
/// a vanishing gradient is replaced by a random direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ddn {
    steps: usize,
}

const FIRST_RADIUS: f64 = 1.0;
const GAMMA: f64 = 0.05;
const LAST_STEP: f64 = 0.01;

impl Default for Ddn {
    fn default() -> Self {
        Self { steps: 100 }
    }
}

impl Ddn {
    /// Sets the number of steps.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps }
    }
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    radius: f64,
    /// Distance to the farthest point of [0, 1].
    farthest: f64,
}

impl Attack for Ddn {
    fn name(&self) -> String {
        "ddn".into()
    }

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut walkers: Vec<Walker> = batch
            .all()
            .into_iter()
            .map(|image| {
                let point = batch.original(image).to_vec();
                let farthest = point
                    .iter()
                    .map(|value| f64::from(value.max(1.0 - value)).powi(2))
                    .sum::<f64>()
                    .sqrt();
                Walker { image, point, radius: FIRST_RADIUS, farthest }
            })
            .collect();
        for step in 0..self.steps {
            if walkers.is_empty() {
                break;
            }
            let length = LAST_STEP + (1.0 - LAST_STEP) * falling(step, self.steps);
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let points: Vec<f32> =
                walkers.iter().flat_map(|walker| &walker.point).copied().collect();
            let gradients = batch.gradients(&images, &points, Loss::CrossEntropy)?;
            let mut row = 0;
            walkers.retain_mut(|walker| {
                row += 1;
                let adversarial =
                    batch.criterion(walker.image).is_clearly_met(gradients.logits(row - 1));
                if adversarial {
                    batch.keep_if_closer(walker.image, &walker.point);
                }
                walker.radius = (walker.radius
                    * if adversarial { 1.0 - GAMMA } else { 1.0 + GAMMA })
                .min(walker.farthest);
                let mut gradient = gradients.of(row - 1).to_vec();
                if gradient.iter().all(|value| *value == 0.0) {
                    let random =
                        gaussian(gradient.len(), &mut batch.generator(walker.image, step as u64));
                    gradient = random.into_iter().map(|value| value as f32).collect();
                }
                walker.advance(batch.original(walker.image), &gradient, length);
                !batch.satisfied(walker.image)
            });
        }
        Ok(())
    }
}

impl Walker {
    fn advance(&mut self, original: &[f32], gradient: &[f32], length: f64) {
        let steepest = Norm::L2.steepest(gradient);
        let delta: Vec<f64> = self
            .point
            .iter()
            .zip(original)
            .zip(steepest)
            .map(|((value, original), step)| {
                f64::from(*value) - f64::from(*original) + length * step
            })
            .collect();
        let scale = self.radius
            / delta.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        for ((value, original), delta) in self.point.iter_mut().zip(original).zip(delta) {
            *value = ((f64::from(*original) + scale * delta) as f32).clamp(0.0, 1.0);
        }
    }
}
