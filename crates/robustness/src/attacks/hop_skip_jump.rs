//! The HopSkipJump attack.

use super::blended_noise::start;
use super::line_search::{between, whole};
use crate::norm::gaussian;
use crate::{Attack, AttackKind, Batch, Norm, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Estimates the normal of the decision boundary from the model's decisions around a boundary
/// point, steps across, and returns to the boundary by bisection (Chen et al. 2020).
///
/// The defaults are those of Foolbox 3.3 (`HopSkipJumpAttack`): 64 steps; 100 decisions for the
/// first estimate, then 100 sqrt(step), at most 10,000; step lengths by geometric progression;
/// gamma 1. Foolbox divides an estimate by its norm over the whole batch, this attack by the norm
/// for the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HopSkipJump {
    norm: Norm,
    steps: usize,
}

const FIRST_ESTIMATE: f64 = 100.0;
const MOST: f64 = 10_000.0;
/// Maximum number of halvings of a step that does not cross the boundary.
const SHORTEST: usize = 40;

impl HopSkipJump {
    /// Uses Foolbox's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 64 }
    }

    /// Sets the number of steps.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

impl Attack for HopSkipJump {
    fn name(&self) -> String {
        "hop-skip-jump".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut walkers: Vec<(usize, Vec<f32>)> = Vec::with_capacity(batch.len());
        for image in batch.all() {
            if let Some(point) = start(batch, image)? {
                batch.keep_if_closer(image, &point);
                walkers.push((image, point));
            }
        }
        self.back_to_boundary(batch, &mut walkers)?;
        for step in 0..self.steps {
            walkers.retain(|(image, _)| !batch.satisfied(*image));
            if walkers.is_empty() {
                break;
            }
            let mut updates = Vec::with_capacity(walkers.len());
            for (image, point) in &walkers {
                updates.push(self.estimate(batch, *image, point, step)?);
            }
            self.across(batch, &mut walkers, &updates, step)?;
            self.back_to_boundary(batch, &mut walkers)?;
        }
        Ok(())
    }
}

impl HopSkipJump {
    /// The direction in which most surrounding points are adversarial.
    fn estimate(
        &self,
        batch: &mut Batch,
        image: usize,
        point: &[f32],
        step: usize,
    ) -> Result<Vec<f64>> {
        let area = point.len();
        let distance = self.norm.distance(batch.original(image), point);
        let radius = if step == 0 { 0.1 } else { distance / area as f64 };
        // A smaller radius would vanish in single precision.
        let radius = radius.max(1e-4);
        let count = (FIRST_ESTIMATE * ((step + 1) as f64).sqrt()).min(MOST) as usize;
        let mut generator = batch.generator(image, 1 + step as u64);
        let points: Vec<f32> =
            (0..count).flat_map(|_| self.around(point, radius, &mut generator)).collect();
        let decisions = batch.are_adversarial(&vec![image; count], &points)?;
        let yes = decisions.iter().filter(|decision| **decision).count();
        let mean =
            if yes == 0 || yes == count { 0.0 } else { 2.0 * yes as f64 / count as f64 - 1.0 };
        let mut sum = vec![0.0; area];
        for (probe, decision) in points.chunks_exact(area).zip(decisions) {
            let weight = if decision { 1.0 } else { -1.0 } - mean;
            for index in 0..area {
                sum[index] += weight * (f64::from(probe[index]) - f64::from(point[index]));
            }
        }
        let sum: Vec<f32> =
            sum.into_iter().map(|value| (value / (radius * count as f64)) as f32).collect();
        Ok(self.norm.steepest(&sum))
    }

    fn around(&self, point: &[f32], radius: f64, generator: &mut ChaCha8Rng) -> Vec<f32> {
        let direction: Vec<f64> = match self.norm {
            Norm::L2 | Norm::L1 | Norm::L0 => gaussian(point.len(), generator),
            Norm::Linf => (0..point.len()).map(|_| generator.random_range(-1.0..1.0)).collect(),
        };
        let length = direction.iter().map(|value| value * value).sum::<f64>().sqrt().max(1e-12);
        let move_one = |(value, step): (&f32, &f64)| {
            ((f64::from(*value) + radius * step / length) as f32).clamp(0.0, 1.0)
        };
        point.iter().zip(&direction).map(move_one).collect()
    }

    /// Halves steps until they stay adversarial.
    fn across(
        &self,
        batch: &mut Batch,
        walkers: &mut [(usize, Vec<f32>)],
        updates: &[Vec<f64>],
        step: usize,
    ) -> Result<()> {
        let mut lengths: Vec<f64> = walkers
            .iter()
            .map(|(image, point)| {
                self.norm.distance(batch.original(*image), point) / ((step + 1) as f64).sqrt()
            })
            .collect();
        let mut open: Vec<usize> = (0..walkers.len()).collect();
        for _ in 0..SHORTEST {
            if open.is_empty() {
                break;
            }
            let moved: Vec<Vec<f32>> = open
                .iter()
                .map(|row| {
                    let move_one = |(value, step): (&f32, &f64)| {
                        ((f64::from(*value) + lengths[*row] * step) as f32).clamp(0.0, 1.0)
                    };
                    walkers[*row].1.iter().zip(&updates[*row]).map(move_one).collect()
                })
                .collect();
            let images: Vec<usize> = open.iter().map(|row| walkers[*row].0).collect();
            let adversarial = batch.are_adversarial(&images, &moved.concat())?;
            let mut left = Vec::new();
            for ((row, moved), adversarial) in open.into_iter().zip(moved).zip(adversarial) {
                if adversarial {
                    walkers[row].1 = moved;
                } else {
                    lengths[row] /= 2.0;
                    left.push(row);
                }
            }
            open = left;
        }
        Ok(())
    }

    /// Moves back towards the image to the decision boundary; the result becomes the candidate.
    fn back_to_boundary(&self, batch: &mut Batch, walkers: &mut [(usize, Vec<f32>)]) -> Result<()> {
        let images: Vec<usize> = walkers.iter().map(|(image, _)| *image).collect();
        let area = batch.area() as f64;
        let mut ranges: Vec<(f64, f64, f64)> = walkers
            .iter()
            .map(|(image, point)| match self.norm {
                Norm::L2 => (0.0, 1.0, 1.0 / (area * area.sqrt())),
                Norm::Linf | Norm::L1 | Norm::L0 => {
                    let whole = whole(self.norm, batch.original(*image), point);
                    (0.0, whole, (whole / (area * area)).max(1e-7))
                }
            })
            .collect();
        loop {
            let open: Vec<usize> = (0..ranges.len())
                .filter(|row| ranges[*row].1 - ranges[*row].0 > ranges[*row].2)
                .collect();
            if open.is_empty() {
                break;
            }
            let middle = |row: usize| 0.5 * (ranges[row].0 + ranges[row].1);
            let some: Vec<usize> = open.iter().map(|row| images[*row]).collect();
            let points: Vec<f32> = open
                .iter()
                .flat_map(|row| {
                    between(self.norm, batch.original(images[*row]), &walkers[*row].1, middle(*row))
                })
                .collect();
            for (row, adversarial) in open.iter().zip(batch.are_adversarial(&some, &points)?) {
                let (low, high, _) = &mut ranges[*row];
                let middle = 0.5 * (*low + *high);
                *(if adversarial { high } else { low }) = middle;
            }
        }
        for (row, (image, point)) in walkers.iter_mut().enumerate() {
            *point = between(self.norm, batch.original(*image), point, ranges[row].1);
            batch.keep_if_closer(*image, point);
        }
        Ok(())
    }
}
