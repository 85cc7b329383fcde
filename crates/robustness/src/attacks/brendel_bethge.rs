//! The Brendel-Bethge attack.

use super::blended_noise::start;
use super::line_search::{between, whole};
use super::trust_region::{Problem, step};
use crate::criterion::clear_lead;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};
use rayon::prelude::*;

/// Follows the decision boundary from an adversarial point to the boundary point nearest to the
/// image (Brendel et al. 2019): each step moves to the nearest point of the linearized boundary
/// within a trust region.
///
/// The defaults are those of Foolbox 3.3 (`L2BrendelBethgeAttack`, `LinfinityBrendelBethgeAttack`):
/// 1,000 steps, overshoot 1.1, momentum 0.8, a trust region halved 20 times, and 10 initial
/// bisections. Foolbox sets the initial radius to 0.001 times the number of values in the whole
/// batch, so that an image's result depends on its batch; here the radius is that of a batch of
/// 200. With the radius of a batch of one, the last steps are too short to converge (medians 3% to
/// 6% larger). In L1 and L0 the radius limits the change of each value, initially to 0.5, and is
/// halved ten times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BrendelBethge {
    norm: Norm,
    steps: usize,
}

const OVERSHOOT: f64 = 1.1;
const MOMENTUM: f64 = 0.8;
/// Initial radius divided by the number of values in an image.
const TRUST: f64 = 0.2;
const HALVINGS_OF_TRUST: usize = 20;
/// The same for L1 and L0.
const SPARSE_TRUST: f64 = 0.5;
const SPARSE_HALVINGS: usize = 10;
const BISECTIONS: usize = 10;

impl BrendelBethge {
    /// Uses Foolbox's defaults in this norm (in L1 and L0 steps of our own design).
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 1000 }
    }

    /// Sets the number of steps; the trust region is still halved 20 times.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    normal: Vec<f32>,
    trust: f64,
}

impl Attack for BrendelBethge {
    fn name(&self) -> String {
        "brendel-bethge".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut walkers = self.begin(batch)?;
        let halvings = if self.is_sparse() { SPARSE_HALVINGS } else { HALVINGS_OF_TRUST };
        let interval = (self.steps / halvings).max(1);
        for iteration in 1..=self.steps {
            walkers.retain(|walker| !batch.satisfied(walker.image));
            if walkers.is_empty() {
                break;
            }
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let points: Vec<f32> =
                walkers.iter().flat_map(|walker| &walker.point).copied().collect();
            let gradients = batch.gradients(&images, &points, Loss::Margin)?;
            for (row, walker) in walkers.iter().enumerate() {
                if batch.criterion(walker.image).is_clearly_met(gradients.logits(row)) {
                    batch.keep_if_closer(walker.image, &walker.point);
                }
            }
            let originals: Vec<&[f32]> =
                images.iter().map(|image| batch.original(*image)).collect();
            walkers.par_iter_mut().zip(originals).enumerate().for_each(
                |(row, (walker, original))| {
                    let fresh = if iteration == 1 { 1.0 } else { (1.0 - MOMENTUM) as f32 };
                    for (normal, gradient) in walker.normal.iter_mut().zip(gradients.of(row)) {
                        *normal = fresh * gradient + (1.0 - fresh) * *normal;
                    }
                    if (iteration + 1) % interval == 0 {
                        walker.trust *= 0.5;
                    }
                    walker.advance(
                        self.norm,
                        original,
                        gradients.loss(row),
                        clear_lead(gradients.logits(row)),
                    );
                },
            );
        }
        Ok(())
    }
}

impl BrendelBethge {
    fn is_sparse(&self) -> bool {
        matches!(self.norm, Norm::L1 | Norm::L0)
    }

    /// Starting points on the decision boundary, between the image and an adversarial point.
    fn begin(&self, batch: &mut Batch) -> Result<Vec<Walker>> {
        let mut walkers = Vec::with_capacity(batch.len());
        let mut far = Vec::with_capacity(batch.len());
        for image in batch.all() {
            if let Some(point) = start(batch, image)? {
                batch.keep_if_closer(image, &point);
                walkers.push(Walker {
                    image,
                    point: point.clone(),
                    normal: vec![0.0; point.len()],
                    trust: 0.0,
                });
                let whole = whole(self.norm, batch.original(image), &point);
                far.push((point, 0.0, whole));
            }
        }
        let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
        for _ in 0..BISECTIONS {
            let points: Vec<f32> = far
                .iter()
                .zip(&images)
                .flat_map(|((point, low, high), image)| {
                    between(self.norm, batch.original(*image), point, 0.5 * (low + high))
                })
                .collect();
            for ((_, low, high), adversarial) in
                far.iter_mut().zip(batch.are_adversarial(&images, &points)?)
            {
                let middle = 0.5 * (*low + *high);
                *(if adversarial { high } else { low }) = middle;
            }
        }
        for (walker, (point, _, high)) in walkers.iter_mut().zip(far) {
            let original = batch.original(walker.image);
            walker.point = between(self.norm, original, &point, high);
            walker.trust =
                if self.is_sparse() { SPARSE_TRUST } else { TRUST * original.len() as f64 };
        }
        Ok(walkers)
    }
}

impl Walker {
    fn advance(&mut self, norm: Norm, original: &[f32], margin: f64, clear: f64) {
        // Overshoot the boundary slightly from either side, always far enough for the point to
        // count as adversarial.
        let change = 2.0 * clear
            - if margin < 0.0 { OVERSHOOT * margin } else { (2.0 - OVERSHOOT) * margin };
        let problem = Problem {
            original,
            point: &self.point,
            normal: &self.normal,
            change,
            radius: self.trust,
        };
        let step = step(norm, &problem);
        for (value, step) in self.point.iter_mut().zip(step) {
            *value = ((f64::from(*value) + step) as f32).clamp(0.0, 1.0);
        }
    }
}
