//! Norms of perturbations and projections onto their balls.

use crate::{Error, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The norm in which a perturbation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Norm {
    /// Largest absolute change.
    Linf,
    /// Euclidean length of the change.
    L2,
    /// Sum of absolute changes.
    L1,
    /// Number of changed values.
    L0,
}

impl Norm {
    /// Norm of `changed - original`.
    pub fn distance(self, original: &[f32], changed: &[f32]) -> f64 {
        self.size_of(original.iter().zip(changed).map(|(a, b)| f64::from(*b) - f64::from(*a)))
    }

    /// Norm of a step.
    pub(crate) fn size(self, step: &[f64]) -> f64 {
        self.size_of(step.iter().copied())
    }

    fn size_of(self, changes: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Linf => changes.fold(0.0, |max, change| max.max(change.abs())),
            Self::L2 => changes.map(|change| change * change).sum::<f64>().sqrt(),
            Self::L1 => changes.map(f64::abs).sum(),
            Self::L0 => changes.filter(|change| *change != 0.0).count() as f64,
        }
    }

    /// Projects `changed` to within `epsilon` of `original` and then clips it to [0, 1], in
    /// Foolbox's order. [`Norm::distance`] is then at most `epsilon`, rounding included. A point
    /// already inside is left unchanged.
    ///
    /// `original` must lie in [0, 1] and `changed` be finite.
    pub fn project(self, original: &[f32], changed: &mut [f32], epsilon: f64) {
        match self {
            Self::Linf => {
                for (value, original) in changed.iter_mut().zip(original) {
                    let center = f64::from(*original);
                    let bounded =
                        f64::from(*value).clamp(center - epsilon, center + epsilon) as f32;
                    // Rounding to f32 may step outside again.
                    *value = match f64::from(bounded) - center {
                        change if change > epsilon => bounded.next_down(),
                        change if change < -epsilon => bounded.next_up(),
                        _ => bounded,
                    };
                    *value = value.clamp(0.0, 1.0);
                }
            }
            Self::L2 => {
                let mut length = self.distance(original, changed);
                // Each pass leaves at most f32 rounding errors, so a little more is removed every
                // time.
                let mut slack = 1.0;
                while length > epsilon {
                    let scale = epsilon / length * slack;
                    for (value, original) in changed.iter_mut().zip(original) {
                        let center = f64::from(*original);
                        *value = (center + (f64::from(*value) - center) * scale) as f32;
                    }
                    length = self.distance(original, changed);
                    slack -= 1e-6;
                }
                changed.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
            }
            Self::L1 => {
                let mut target = epsilon;
                loop {
                    let changes: Vec<f64> = original
                        .iter()
                        .zip(changed.iter())
                        .map(|(a, b)| f64::from(*b) - f64::from(*a))
                        .collect();
                    let length = self.size(&changes);
                    if length <= epsilon {
                        break;
                    }
                    let taken_off = excess(&changes, target);
                    for ((value, original), change) in changed.iter_mut().zip(original).zip(changes)
                    {
                        *value = (f64::from(*original) + shrunk(change, taken_off)) as f32;
                    }
                    // The next target compensates for what rounding to f32 added back.
                    target =
                        (target - (self.distance(original, changed) - epsilon).max(0.0)).max(0.0);
                }
                changed.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
            }
            Self::L0 => {
                let change =
                    |index: usize, changed: &[f32]| (changed[index] - original[index]).abs();
                let mut order: Vec<usize> =
                    (0..changed.len()).filter(|index| change(*index, changed) != 0.0).collect();
                order.sort_by(|a, b| change(*b, changed).total_cmp(&change(*a, changed)));
                // Keep the largest changes.
                order
                    .iter()
                    .skip(epsilon as usize)
                    .for_each(|index| changed[*index] = original[*index]);
                changed.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
            }
        }
    }

    /// Dual norm of a gradient: the rate of change of a function along its steepest step of size 1
    /// (in L0, changing a single value by 1, the most that [0, 1] allows).
    pub(crate) fn dual_length(self, gradient: &[f32]) -> f64 {
        match self {
            Self::Linf => gradient.iter().map(|value| f64::from(value.abs())).sum(),
            Self::L2 => l2(gradient),
            Self::L1 | Self::L0 => {
                gradient.iter().fold(0.0, |max, value| f64::from(value.abs()).max(max))
            }
        }
    }

    /// A random direction of length 1: uniform on the sphere (L2), random signs (Linf), or up or
    /// down along one value (L1, L0).
    pub(crate) fn random_direction(self, area: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Linf => {
                (0..area).map(|_| if generator.random::<bool>() { 1.0 } else { -1.0 }).collect()
            }
            Self::L2 => unit(&gaussian(area, generator)),
            Self::L1 | Self::L0 => {
                let mut axis = vec![0.0; area];
                axis[generator.random_range(0..area)] =
                    if generator.random::<bool>() { 1.0 } else { -1.0 };
                axis
            }
        }
    }

    /// A random step, uniform in the ball of radius 1; in L1 and L0, uniform along a single value.
    pub(crate) fn random_step(self, area: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Linf => (0..area).map(|_| generator.random_range(-1.0..1.0)).collect(),
            Self::L2 => {
                let direction = unit(&gaussian(area, generator));
                // The radius to the power of the dimension is uniform.
                let radius = generator.random::<f64>().powf(1.0 / area as f64);
                direction.into_iter().map(|value| value * radius).collect()
            }
            Self::L1 | Self::L0 => {
                let (axis, share) =
                    (self.random_direction(area, generator), generator.random::<f64>());
                axis.into_iter().map(|value| value * share).collect()
            }
        }
    }

    /// The largest distance between two images of `area` values in [0, 1].
    pub fn range(self, area: usize) -> f64 {
        match self {
            Self::Linf => 1.0,
            Self::L2 => (area as f64).sqrt(),
            Self::L1 | Self::L0 => area as f64,
        }
    }

    /// The step of size 1 along which a loss with this gradient grows fastest; values with zero
    /// gradient do not move.
    pub(crate) fn steepest(self, gradient: &[f32]) -> Vec<f64> {
        match self {
            Self::Linf => gradient
                .iter()
                .map(|value| if *value == 0.0 { 0.0 } else { f64::from(value.signum()) })
                .collect(),
            Self::L2 => {
                let length = l2(gradient);
                let inverse = if length > 0.0 { 1.0 / length } else { 0.0 };
                gradient.iter().map(|value| f64::from(*value) * inverse).collect()
            }
            Self::L1 | Self::L0 => {
                let steepest = (0..gradient.len()).fold(0, |best, index| {
                    if gradient[index].abs() > gradient[best].abs() { index } else { best }
                });
                let along = |(index, value): (usize, &f32)| {
                    if index == steepest { Self::Linf.steepest(&[*value])[0] } else { 0.0 }
                };
                gradient.iter().enumerate().map(along).collect()
            }
        }
    }

    /// Checks perturbation sizes for images of `area` values.
    pub(crate) fn check(self, epsilons: &[f64], area: usize) -> Result<()> {
        let range = self.range(area);
        match epsilons.iter().position(|epsilon| !(0.0..=range).contains(epsilon)) {
            None => Ok(()),
            Some(index) => Err(Error::Level {
                what: "epsilon",
                index,
                expected: format!(
                    "0 to {range}, the largest {self:?} distance between two images in [0, 1]"
                ),
                found: epsilons[index],
            }),
        }
    }
}

/// The amount to subtract from each change so that their sizes sum to `total`, which is at most
/// their present sum (Duchi et al. 2008: Euclidean projection onto the L1 ball).
pub(crate) fn excess(changes: &[f64], total: f64) -> f64 {
    let mut sizes: Vec<f64> = changes.iter().map(|change| change.abs()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let mut taken_off = 0.0;
    for (index, size) in sizes.iter().enumerate() {
        sum += size;
        let candidate = (sum - total) / (index + 1) as f64;
        if *size < candidate {
            break;
        }
        taken_off = candidate;
    }
    taken_off
}

/// Soft threshold: shrinks a change by `taken_off`, or to 0 if it is smaller.
pub(crate) fn shrunk(change: f64, taken_off: f64) -> f64 {
    (change.abs() - taken_off).max(0.0).copysign(change)
}

/// Euclidean length.
pub(crate) fn l2(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// Independent standard normal values.
pub(crate) fn gaussian(count: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| generator.sample(StandardNormal)).collect()
}

fn unit(values: &[f64]) -> Vec<f64> {
    let length =
        values.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    values.iter().map(|value| value / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn projections_hold_exactly(
            pairs in prop::collection::vec((0.0f32..=1.0, -2.0f32..3.0), 1..50),
            epsilon in prop_oneof![0.0..1e-6f64, 0.0..0.05f64, 0.0..1.0f64, 0.0..20.0f64],
        ) {
            let (original, changed): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
                let mut once = changed.clone();
                norm.project(&original, &mut once, epsilon);
                prop_assert!(norm.distance(&original, &once) <= epsilon);
                prop_assert!(once.iter().all(|value| (0.0..=1.0).contains(value)));
                let mut twice = once.clone();
                norm.project(&original, &mut twice, epsilon);
                prop_assert_eq!(once, twice);
            }
        }
    }

    proptest! {
        /// No other point of the L1 ball is nearer. Optimality condition: the direction to the
        /// original point makes an obtuse angle with the direction to any corner of the ball.
        #[test]
        fn the_projection_on_the_ball_of_l1_is_the_nearest_point(
            changes in prop::collection::vec(-1.0f64..1.0, 1..30),
            share in 0.01f64..1.0,
        ) {
            let total = share * Norm::L1.size(&changes);
            let taken_off = excess(&changes, total);
            let nearest: Vec<f64> = changes.iter().map(|change| shrunk(*change, taken_off)).collect();
            prop_assert!((Norm::L1.size(&nearest) - total).abs() < 1e-9);
            for corner in 0..changes.len() {
                for sign in [-1.0, 1.0] {
                    let angle: f64 = (0..changes.len())
                        .map(|index| {
                            let there = if index == corner { sign * total } else { 0.0 };
                            (changes[index] - nearest[index]) * (there - nearest[index])
                        })
                        .sum();
                    prop_assert!(angle < 1e-9, "corner {corner} {sign}: {angle}");
                }
            }
        }
    }

    #[test]
    fn of_more_changes_than_l0_allows_the_largest_stay() {
        let mut changed = [0.1, 0.9, 0.5, 0.4];
        Norm::L0.project(&[0.5; 4], &mut changed, 2.9);
        assert_eq!(changed, [0.1, 0.9, 0.5, 0.5]);
        assert_eq!(Norm::L0.distance(&[0.5; 4], &changed), 2.0);
        assert_eq!(Norm::L1.steepest(&[1.0, -3.0, 2.0]), [0.0, -1.0, 0.0]);
    }
}
