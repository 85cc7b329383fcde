//! Primal-dual gradient descent.

use super::adam::Adam;
use crate::norm::shrunk;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// Descends on distance and margin together, with weights adapted to whether the point is
/// adversarial (Matyasko and Chau 2021). In L2 the distance is part of the loss (PDGD); in the
/// other norms each Adam step on the margin is followed by the proximal operator of the distance
/// (PDPGD).
///
/// The defaults are those of adv-lib 0.2.8, except for the number of steps: the learning rate of
/// the perturbation decreases from 0.1 to 0.001 and that of the weights from 0.1 to 0.01; the
/// initial weight of the distance is 0.01, averaged over steps with 0.9. Unlike in adv-lib, the
/// proximal operator is solved exactly in Adam's metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrimalDual {
    norm: Norm,
    steps: usize,
}

const FIRST_RATE: f64 = 0.1;
const RATE_DECREASE: f64 = 0.01;
const FIRST_RATIO: f64 = 0.01;
const DUAL_RATE: f64 = 0.1;
const DUAL_DECREASE: f64 = 0.1;
const DUAL_AVERAGE: f64 = 0.9;
const LEAST_RATIO: f64 = 1e-6;

impl PrimalDual {
    /// Uses 500 steps in this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 500 }
    }

    /// Sets the number of steps.
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }
}

struct Walker {
    image: usize,
    point: Vec<f32>,
    adam: Adam,
    /// Log ratio of the margin's weight to the distance's.
    balance: f64,
    /// The margin's fraction of the total weight, averaged over steps.
    share: f64,
}

impl Attack for PrimalDual {
    fn name(&self) -> String {
        if self.norm == Norm::L2 { "pdgd" } else { "pdpgd" }.into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let area = batch.area();
        let balance = -FIRST_RATIO.ln();
        let start = |image| Walker {
            image,
            point: batch.original(image).to_vec(),
            adam: Adam::new(area),
            balance,
            share: sigmoid(balance),
        };
        let mut walkers: Vec<Walker> = batch.all().into_iter().map(start).collect();
        for step in 0..self.steps {
            if walkers.is_empty() {
                break;
            }
            let done = step as f64 / self.steps as f64;
            let rate = FIRST_RATE * RATE_DECREASE.powf(done);
            let left = 1.0 - step as f64 / (self.steps.max(2) - 1) as f64;
            let dual_rate = DUAL_RATE * (DUAL_DECREASE + (1.0 - DUAL_DECREASE) * left);
            let images: Vec<usize> = walkers.iter().map(|walker| walker.image).collect();
            let points: Vec<f32> =
                walkers.iter().flat_map(|walker| &walker.point).copied().collect();
            let gradients = batch.gradients(&images, &points, Loss::Margin)?;
            let mut row = 0;
            walkers.retain_mut(|walker| {
                row += 1;
                if batch.criterion(walker.image).is_clearly_met(gradients.logits(row - 1)) {
                    batch.keep_if_closer(walker.image, &walker.point);
                }
                let margin = gradients.loss(row - 1);
                walker.advance(
                    self.norm,
                    batch.original(walker.image),
                    gradients.of(row - 1),
                    margin,
                    rate,
                );
                let limit = -LEAST_RATIO.ln();
                walker.balance =
                    (walker.balance - dual_rate * margin.signum()).clamp(-limit, limit);
                walker.share =
                    DUAL_AVERAGE * walker.share + (1.0 - DUAL_AVERAGE) * sigmoid(walker.balance);
                !batch.satisfied(walker.image)
            });
        }
        Ok(())
    }
}

impl Walker {
    /// Takes one step to decrease log(1 + exp(-margin)); `gradient` is the gradient of `margin`.
    fn advance(&mut self, norm: Norm, original: &[f32], gradient: &[f32], margin: f64, rate: f64) {
        let change = |(value, original): (&f32, &f32)| f64::from(*value) - f64::from(*original);
        let mut changes: Vec<f64> = self.point.iter().zip(original).map(change).collect();
        let towards = -sigmoid(-margin);
        let distance = norm.size(&changes).max(f64::MIN_POSITIVE);
        let (share, is_l2) = (self.share, norm == Norm::L2);
        let slope = |(change, slope): (&f64, &f32)| match is_l2 {
            true => (1.0 - share) * change / distance + share * towards * f64::from(*slope),
            false => towards * f64::from(*slope),
        };
        let steps = self.adam.step(changes.iter().zip(gradient).map(slope));
        for ((change, (step, _)), original) in changes.iter_mut().zip(&steps).zip(original) {
            let center = f64::from(*original);
            *change = (center + *change + rate * step).clamp(0.0, 1.0) - center;
        }
        if !is_l2 {
            let scales: Vec<f64> = steps.into_iter().map(|(_, scale)| scale).collect();
            proximal(norm, &mut changes, &scales, rate * (1.0 - share) / share);
        }
        for ((value, change), original) in self.point.iter_mut().zip(changes).zip(original) {
            *value = ((f64::from(*original) + change) as f32).clamp(0.0, 1.0);
        }
    }
}

/// Replaces `changes` by the z that minimizes the sum of scale (z - change)^2 / 2 plus weight |z|.
fn proximal(norm: Norm, changes: &mut [f64], scales: &[f64], weight: f64) {
    match norm {
        Norm::L1 => changes
            .iter_mut()
            .zip(scales)
            .for_each(|(change, scale)| *change = shrunk(*change, weight / scale)),
        Norm::L0 => {
            let keep = |change: f64, scale: f64| {
                if scale * change * change > 2.0 * weight { change } else { 0.0 }
            };
            changes
                .iter_mut()
                .zip(scales)
                .for_each(|(change, scale)| *change = keep(*change, *scale));
        }
        Norm::Linf => {
            let limit = limit(changes, scales, weight);
            changes.iter_mut().for_each(|change| *change = change.clamp(-limit, limit));
        }
        // In L2 the distance is part of the loss.
        Norm::L2 => {}
    }
}

/// The clipping threshold at which the clipped amounts, weighted by their scales, sum to `weight`;
/// 0 if their total is less.
fn limit(changes: &[f64], scales: &[f64], weight: f64) -> f64 {
    let mut order: Vec<usize> = (0..changes.len()).collect();
    order.sort_by(|a, b| changes[*b].abs().total_cmp(&changes[*a].abs()));
    let (mut scale, mut sum, mut limit) = (0.0, 0.0, 0.0);
    for index in order {
        if changes[index].abs() <= limit {
            break;
        }
        scale += scales[index];
        sum += scales[index] * changes[index].abs();
        limit = ((sum - weight) / scale).max(0.0);
    }
    limit
}

fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// No other point has a smaller objective: random ones near and far are tried.
        #[test]
        fn the_proximal_point_is_the_minimum(
            values in prop::collection::vec((-1.0f64..1.0, 0.1f64..3.0, -0.3f64..0.3), 1..12),
            weight in 0.0f64..2.0,
        ) {
            let (changes, scales): (Vec<f64>, Vec<f64>) = values.iter().map(|value| (value.0, value.1)).unzip();
            for norm in [Norm::L1, Norm::Linf, Norm::L0] {
                let total = |point: &[f64]| {
                    let apart = |index: usize| scales[index] * (point[index] - changes[index]).powi(2) / 2.0;
                    (0..point.len()).map(apart).sum::<f64>() + weight * norm.size(point)
                };
                let mut nearest = changes.clone();
                proximal(norm, &mut nearest, &scales, weight);
                let least = total(&nearest);
                for share in [1.0, 0.1, 0.01] {
                    let moved: Vec<f64> = nearest.iter().zip(&values).map(|(point, value)| point + share * value.2).collect();
                    prop_assert!(total(&moved) >= least - 1e-12, "{norm:?}");
                    let shorter: Vec<f64> = nearest.iter().map(|point| point * (1.0 - share)).collect();
                    prop_assert!(total(&shorter) >= least - 1e-12, "{norm:?}");
                }
                prop_assert!(total(&changes) >= least - 1e-12, "{norm:?}");
            }
        }
    }
}
