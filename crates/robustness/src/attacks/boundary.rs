//! The boundary attack.

use super::blended_noise::start;
use crate::norm::{gaussian, l2};
use crate::{Attack, AttackKind, Batch, Norm, Result};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// A random walk along the decision boundary that approaches the image and uses only the model's
/// decisions (Brendel et al. 2018); L2.
///
/// The defaults are those of Foolbox 3.3 (`BoundaryAttack`): 25,000 steps, both step lengths
/// initially 0.01 of the distance and changed by a factor of 1.5 according to the success rate,
/// which is checked every 10 steps. An image is done once its step towards the image falls below
/// 1e-7. Unlike in Foolbox, every image has its own random directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    steps: usize,
}

const FIRST_STEP: f64 = 0.01;
const CONVERGED: f64 = 1e-7;
const ADAPTATION: f64 = 1.5;
const LOOK_EVERY: usize = 10;

impl Default for Boundary {
    fn default() -> Self {
        Self { steps: 25_000 }
    }
}

impl Boundary {
    /// Sets the number of steps, each one query.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps }
    }
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    generator: ChaCha8Rng,
    around: f64,
    inward: f64,
    around_succeeded: Successes,
    inward_succeeded: Successes,
}

/// The most recent successes and failures.
struct Successes {
    newest: VecDeque<bool>,
    most: usize,
}

impl Successes {
    fn of(most: usize) -> Self {
        Self { newest: VecDeque::with_capacity(most), most }
    }

    fn add(&mut self, success: bool) {
        if self.newest.len() == self.most {
            self.newest.pop_front();
        }
        self.newest.push_back(success);
    }

    /// The success rate, once there are enough samples.
    fn share(&self) -> Option<f64> {
        let successes = self.newest.iter().filter(|success| **success).count();
        (self.newest.len() == self.most).then(|| successes as f64 / self.most as f64)
    }
}

impl Attack for Boundary {
    fn name(&self) -> String {
        "boundary".into()
    }

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut walkers = Vec::with_capacity(batch.len());
        for image in batch.all() {
            let Some(point) = start(batch, image)? else { continue };
            batch.keep_if_closer(image, &point);
            walkers.push(Walker {
                image,
                point,
                generator: batch.generator(image, 1),
                around: FIRST_STEP,
                inward: FIRST_STEP,
                around_succeeded: Successes::of(100),
                inward_succeeded: Successes::of(30),
            });
        }
        for step in 1..=self.steps {
            walkers.retain(|walker| walker.inward >= CONVERGED && !batch.satisfied(walker.image));
            if walkers.is_empty() {
                break;
            }
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let proposals: Vec<(Vec<f32>, Vec<f32>)> = walkers
                .iter_mut()
                .map(|walker| walker.draw_proposal(batch.original(walker.image)))
                .collect();
            let inner: Vec<f32> = proposals.iter().flat_map(|(inner, _)| inner).copied().collect();
            let adversarial = batch.are_adversarial(&images, &inner)?;
            let look = step.is_multiple_of(LOOK_EVERY);
            let around: Vec<f32> =
                proposals.iter().flat_map(|(_, around)| around).copied().collect();
            let around = if look { batch.are_adversarial(&images, &around)? } else { vec![] };
            for (row, (walker, (inner, _))) in walkers.iter_mut().zip(proposals).enumerate() {
                let original = batch.original(walker.image);
                if adversarial[row]
                    && Norm::L2.distance(original, &inner)
                        < Norm::L2.distance(original, &walker.point)
                {
                    batch.keep_if_closer(walker.image, &inner);
                    walker.point = inner;
                }
                if look {
                    walker.adapt(around[row], adversarial[row]);
                }
            }
        }
        Ok(())
    }
}

impl Walker {
    /// A step around the image, and the same step followed by one towards the image (the first of
    /// the pair).
    fn draw_proposal(&mut self, original: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let home: Vec<f32> = original.iter().zip(&self.point).map(|(a, b)| a - b).collect();
        let distance = l2(&home).max(f64::MIN_POSITIVE);
        let mut aside = gaussian(original.len(), &mut self.generator);
        let along: f64 = aside.iter().zip(&home).map(|(a, b)| a * f64::from(*b) / distance).sum();
        aside
            .iter_mut()
            .zip(&home)
            .for_each(|(value, home)| *value -= along * f64::from(*home) / distance);
        let length =
            aside.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let back_to_sphere = (self.around * self.around + 1.0).sqrt();
        let around: Vec<f32> = (0..original.len())
            .map(|index| {
                let step = aside[index] * self.around * distance / length - f64::from(home[index]);
                ((f64::from(original[index]) + step / back_to_sphere) as f32).clamp(0.0, 1.0)
            })
            .collect();
        let away = Norm::L2.distance(original, &around);
        let inward =
            (self.inward * distance + away - distance).max(0.0) / away.max(f64::MIN_POSITIVE);
        let inner = around
            .iter()
            .zip(original)
            .map(|(value, original)| {
                ((f64::from(*value) + inward * (f64::from(*original) - f64::from(*value))) as f32)
                    .clamp(0.0, 1.0)
            })
            .collect();
        (inner, around)
    }

    fn adapt(&mut self, around: bool, inward: bool) {
        self.around_succeeded.add(around);
        self.inward_succeeded.add(inward);
        if let Some(share) = self.around_succeeded.share()
            && !(0.2..=0.5).contains(&share)
        {
            let factor = if share > 0.5 { ADAPTATION } else { 1.0 / ADAPTATION };
            self.around *= factor;
            self.inward *= factor;
            self.around_succeeded.newest.clear();
        }
        if let Some(share) = self.inward_succeeded.share()
            && !(0.1..=0.25).contains(&share)
        {
            self.inward *= if share > 0.25 { ADAPTATION } else { 1.0 / ADAPTATION };
            self.inward_succeeded.newest.clear();
        }
    }
}
