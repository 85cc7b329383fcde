//! Sizes of perturbations, and the way back into a ball.

use crate::{Error, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// How a perturbation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Norm {
    /// Largest change of a value.
    Linf,
    /// Euclidean length of all changes.
    L2,
    /// Sum of all changes.
    L1,
    /// Number of values that change, however much.
    L0,
}

impl Norm {
    /// Size of the step from `original` to `changed`.
    pub fn distance(self, original: &[f32], changed: &[f32]) -> f64 {
        self.size_of(original.iter().zip(changed).map(|(a, b)| f64::from(*b) - f64::from(*a)))
    }

    /// Size of a step.
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

    /// Brings `changed` within `epsilon` of `original` and then within [0, 1], in Foolbox's order, so that
    /// [`Norm::distance`] is at most `epsilon`, rounding included. What lies within already stays as it is.
    ///
    /// `original` must lie in [0, 1] and `changed` be finite.
    pub fn project(self, original: &[f32], changed: &mut [f32], epsilon: f64) {
        match self {
            Self::Linf => {
                for (value, original) in changed.iter_mut().zip(original) {
                    let center = f64::from(*original);
                    let bounded = f64::from(*value).clamp(center - epsilon, center + epsilon) as f32;
                    // Rounding to f32 may have stepped outside again.
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
                // Each pass leaves at most rounding errors of the size of f32's; a little more is taken off every time.
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
                    let changes: Vec<f64> =
                        original.iter().zip(changed.iter()).map(|(a, b)| f64::from(*b) - f64::from(*a)).collect();
                    let length = self.size(&changes);
                    if length <= epsilon {
                        break;
                    }
                    let taken_off = excess(&changes, target);
                    for ((value, original), change) in changed.iter_mut().zip(original).zip(changes) {
                        *value = (f64::from(*original) + shrunk(change, taken_off)) as f32;
                    }
                    // What rounding to f32 has put back on is aimed below the next time.
                    target = (target - (self.distance(original, changed) - epsilon).max(0.0)).max(0.0);
                }
                changed.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
            }
            Self::L0 => {
                let change = |index: usize, changed: &[f32]| (changed[index] - original[index]).abs();
                let mut order: Vec<usize> = (0..changed.len()).filter(|index| change(*index, changed) != 0.0).collect();
                order.sort_by(|a, b| change(*b, changed).total_cmp(&change(*a, changed)));
                // The largest changes stay.
                order.iter().skip(epsilon as usize).for_each(|index| changed[*index] = original[*index]);
                changed.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
            }
        }
    }

    /// Length of a gradient in the dual norm: how fast a function changes along its steepest step of size 1 (in L0, a single
    /// value that changes by 1, which is all that [0, 1] leaves it).
    pub(crate) fn dual_length(self, gradient: &[f32]) -> f64 {
        match self {
            Self::Linf => gradient.iter().map(|value| f64::from(value.abs())).sum(),
            Self::L2 => l2(gradient),
            Self::L1 | Self::L0 => gradient.iter().fold(0.0, |max, value| f64::from(value.abs()).max(max)),
        }
    }

    /// A random direction of length 1: uniform on the sphere, signs at random, or up or down one value.
    pub(crate) fn random_direction(self, area: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Linf => (0..area).map(|_| if generator.random::<bool>() { 1.0 } else { -1.0 }).collect(),
            Self::L2 => unit(&gaussian(area, generator)),
            Self::L1 | Self::L0 => {
                let mut axis = vec![0.0; area];
                axis[generator.random_range(0..area)] = if generator.random::<bool>() { 1.0 } else { -1.0 };
                axis
            }
        }
    }

    /// A random step within the ball of radius 1, uniform in it; in L1 and L0 uniform along one value.
    pub(crate) fn random_step(self, area: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Linf => (0..area).map(|_| generator.random_range(-1.0..1.0)).collect(),
            Self::L2 => {
                let direction = unit(&gaussian(area, generator));
                // The power of the radius is uniform.
                let radius = generator.random::<f64>().powf(1.0 / area as f64);
                direction.into_iter().map(|value| value * radius).collect()
            }
            Self::L1 | Self::L0 => {
                let (axis, share) = (self.random_direction(area, generator), generator.random::<f64>());
                axis.into_iter().map(|value| value * share).collect()
            }
        }
    }

    /// The largest distance of two images of `area` values in [0, 1].
    pub fn range(self, area: usize) -> f64 {
        match self {
            Self::Linf => 1.0,
            Self::L2 => (area as f64).sqrt(),
            Self::L1 | Self::L0 => area as f64,
        }
    }

    /// The step of size 1 along which a loss with this gradient grows most; values without gradient stay.
    pub(crate) fn steepest(self, gradient: &[f32]) -> Vec<f64> {
        match self {
            Self::Linf => gradient.iter().map(|value| if *value == 0.0 { 0.0 } else { f64::from(value.signum()) }).collect(),
            Self::L2 => {
                let length = l2(gradient);
                let inverse = if length > 0.0 { 1.0 / length } else { 0.0 };
                gradient.iter().map(|value| f64::from(*value) * inverse).collect()
            }
            Self::L1 | Self::L0 => {
                let steepest = (0..gradient.len())
                    .fold(0, |best, index| if gradient[index].abs() > gradient[best].abs() { index } else { best });
                let along =
                    |(index, value): (usize, &f32)| if index == steepest { Self::Linf.steepest(&[*value])[0] } else { 0.0 };
                gradient.iter().enumerate().map(along).collect()
            }
        }
    }

    /// Checks sizes of perturbations of images of `area` values.
    pub(crate) fn check(self, epsilons: &[f64], area: usize) -> Result<()> {
        let range = self.range(area);
        match epsilons.iter().position(|epsilon| !(0.0..=range).contains(epsilon)) {
            None => Ok(()),
            Some(index) => Err(Error::Level {
                what: "epsilon",
                index,
                expected: format!("0 to {range}, the largest {self:?} distance of two images in [0, 1]"),
                found: epsilons[index],
            }),
        }
    }
}

/// How much to take off each of these changes so that their sizes sum to `total`, which is at most what they sum to now
/// (Duchi et al. 2008: the Euclidean projection on the ball of L1).
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

/// A change whose size is smaller by this much, and 0 where it is smaller than that.
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
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
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
        /// No other point of the ball of L1 is nearer, by the condition of optimality: the way there makes an obtuse angle with
        /// the way on to any corner of the ball.
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
