//! DeepFool.

use super::decision_boundary::{DecisionBoundary, candidate_classes, nearest, pairs};
use super::plane::{Room, step_onto};
use crate::norm::l2;
use crate::{Attack, AttackKind, Batch, Norm, Result};

/// Steps to the nearest decision boundary of the linearized model (Moosavi-Dezfooli et al. 2016).
///
/// The defaults are those of Foolbox 3.3 (`L2DeepFoolAttack`, `LinfDeepFoolAttack`): at most 50
/// steps, boundaries to the 10 most likely classes, a total overshoot of 2%, and differences of
/// logits. A targeted attack uses the boundary between the target and the strongest other class. In
/// L1 and L0 each step is the shortest within [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeepFool {
    norm: Norm,
    steps: usize,
    candidates: usize,
}

const OVERSHOOT: f64 = 0.02;
/// Foolbox's constants against division by zero and against steps that end just before the decision
/// boundary.
const FLOOR: f64 = 1e-8;
const EXTRA: f64 = 1e-4;

impl DeepFool {
    /// Uses Foolbox's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 50, candidates: 10 }
    }

    /// Considers this many of the most likely classes, including the image's own.
    pub fn with_candidates(self, candidates: usize) -> Self {
        Self { candidates, ..self }
    }

    /// Sets the maximum number of steps; each costs one forward pass and one backward pass for
    /// every other class.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    total: Vec<f64>,
    /// Candidate classes.
    classes: Vec<usize>,
}

impl Attack for DeepFool {
    fn name(&self) -> String {
        "deepfool".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let area = batch.area();
        let mut walkers: Vec<Walker> = batch
            .all()
            .into_iter()
            .map(|image| Walker {
                image,
                point: batch.original(image).to_vec(),
                total: vec![0.0; area],
                classes: vec![],
            })
            .collect();
        for _ in 0..self.steps {
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let points: Vec<f32> =
                walkers.iter().flat_map(|walker| &walker.point).copied().collect();
            let pass = batch.pass(&images, &points)?;
            let mut boundaries = Vec::with_capacity(walkers.len());
            for (row, walker) in walkers.iter_mut().enumerate() {
                let (criterion, logits) = (batch.criterion(walker.image), pass.logits(row));
                if walker.classes.is_empty() {
                    walker.classes = candidate_classes(criterion, logits, self.candidates);
                }
                let done = criterion.is_clearly_met(logits);
                boundaries.push(if done {
                    vec![]
                } else {
                    pairs(criterion, logits, &walker.classes)
                });
            }
            let mut nearest =
                nearest(batch, &pass, &images, &boundaries, self.norm, FLOOR)?.into_iter();
            walkers.retain_mut(|walker| {
                let Some(boundary) = nearest.next().flatten() else {
                    batch.set_candidate(walker.image, &walker.point);
                    return false;
                };
                walker.advance(self.norm, batch.original(walker.image), &boundary);
                true
            });
            if walkers.is_empty() {
                break;
            }
        }
        for walker in walkers {
            batch.set_candidate(walker.image, &walker.point);
        }
        Ok(())
    }
}

impl Walker {
    fn advance(&mut self, norm: Norm, original: &[f32], boundary: &DecisionBoundary) {
        let length = boundary.distance + EXTRA;
        let scale = length / (l2(&boundary.gradient) + FLOOR);
        let step: Vec<f64> = match norm {
            Norm::L2 => boundary.gradient.iter().map(|slope| scale * f64::from(*slope)).collect(),
            Norm::Linf => {
                norm.steepest(&boundary.gradient).into_iter().map(|sign| length * sign).collect()
            }
            Norm::L1 | Norm::L0 => {
                let change = length * norm.dual_length(&boundary.gradient);
                step_onto(norm, &boundary.gradient, change, &Room::unit(&self.point)).0
            }
        };
        for (index, (total, step)) in self.total.iter_mut().zip(step).enumerate() {
            *total += step;
            self.point[index] =
                ((f64::from(original[index]) + (1.0 + OVERSHOOT) * *total) as f32).clamp(0.0, 1.0);
        }
    }
}
