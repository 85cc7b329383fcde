//! The fast minimum-norm attack (FMN).

use super::falling;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// Gradient steps on the margin within a ball whose radius first jumps to the estimated decision
/// boundary, then shrinks while the point is adversarial and grows while it is not (Pintor et al.
/// 2021).
///
/// The defaults are those of Foolbox 3.3 (`L2FMNAttack`, `LInfFMNAttack`): 100 steps from the
/// image, with lengths annealed from 1 to 0.01 (in L2) along a cosine, and radius changes from 5%
/// to 0.1%. Foolbox's L2 attack never projects onto its ball (it divides the norm by itself); this
/// one does, as in the paper. In L0 the radius is a number of values, initially 1, and changes by
/// at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fmn {
    norm: Norm,
    steps: usize,
    first_step: f64,
}

/// Step slightly beyond the estimated decision boundary: from below, single precision would never
/// cross it.
const BEYOND: f64 = 1.0001;
const FIRST_GAMMA: f64 = 0.05;
const LAST_GAMMA: f64 = 0.001;

impl Fmn {
    /// Uses Foolbox's defaults in this norm (in L1 those of Linf, in L0 those of L2).
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 100, first_step: 1.0 }
    }

    /// Sets the number of steps.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Sets the length of the first step, in L2; the last is a hundredth as long. If the smallest
    /// perturbations are far below 1, shorter steps find smaller ones.
    pub fn with_first_step(self, first_step: f64) -> Self {
        Self { first_step, ..self }
    }
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    radius: f64,
    found: bool,
}

impl Attack for Fmn {
    fn name(&self) -> String {
        "fmn".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let radius = if self.norm == Norm::L0 { 1.0 } else { f64::INFINITY };
        let start =
            |image| Walker { image, point: batch.original(image).to_vec(), radius, found: false };
        let mut walkers: Vec<Walker> = batch.all().into_iter().map(start).collect();
        for step in 0..self.steps {
            if walkers.is_empty() {
                break;
            }
            let falling = falling(step, self.steps);
            let length = self.first_step * (0.01 + 0.99 * falling);
            let gamma = LAST_GAMMA + (FIRST_GAMMA - LAST_GAMMA) * falling;
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let points: Vec<f32> =
                walkers.iter().flat_map(|walker| &walker.point).copied().collect();
            let gradients = batch.gradients(&images, &points, Loss::Margin)?;
            let mut row = 0;
            walkers.retain_mut(|walker| {
                row += 1;
                let (gradient, original) = (gradients.of(row - 1), batch.original(walker.image));
                let adversarial =
                    batch.criterion(walker.image).is_clearly_met(gradients.logits(row - 1));
                if adversarial {
                    batch.keep_if_closer(walker.image, &walker.point);
                    walker.found = true;
                }
                let distance = self.norm.distance(original, &walker.point);
                let best = batch.candidate(walker.image).map_or(distance, |(_, distance)| distance);
                let to_boundary = gradients.loss(row - 1).abs()
                    / self.norm.dual_length(gradient).max(f64::MIN_POSITIVE);
                let (smaller, larger) =
                    (walker.radius * (1.0 - gamma), walker.radius * (1.0 + gamma));
                walker.radius = match (self.norm, adversarial, walker.found) {
                    (Norm::L0, true, _) => {
                        smaller.floor().min(walker.radius - 1.0).min(best).max(0.0)
                    }
                    (Norm::L0, false, _) => larger.floor().max(walker.radius + 1.0),
                    (_, true, _) => smaller.min(best),
                    (_, false, true) => larger,
                    (_, false, false) => (distance + to_boundary) * BEYOND,
                };
                walker.radius = walker.radius.min(self.norm.range(original.len()));
                for (value, step) in walker.point.iter_mut().zip(Norm::L2.steepest(gradient)) {
                    *value = (f64::from(*value) + length * step) as f32;
                }
                self.norm.project(original, &mut walker.point, walker.radius);
                !batch.satisfied(walker.image)
            });
        }
        Ok(())
    }
}
