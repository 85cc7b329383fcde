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
}

impl Norm {
    /// Size of the step from `original` to `changed`.
    pub fn distance(self, original: &[f32], changed: &[f32]) -> f64 {
        let changes = original.iter().zip(changed).map(|(a, b)| f64::from(*b) - f64::from(*a));
        match self {
            Self::Linf => changes.fold(0.0, |max, change| max.max(change.abs())),
            Self::L2 => changes.map(|change| change * change).sum::<f64>().sqrt(),
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
        }
    }

    /// Length of a gradient in the dual norm: how fast a function changes along its steepest step of size 1.
    pub(crate) fn dual_length(self, gradient: &[f32]) -> f64 {
        match self {
            Self::Linf => gradient.iter().map(|value| f64::from(value.abs())).sum(),
            Self::L2 => l2(gradient),
        }
    }

    /// A random direction of length 1: uniform on the sphere, or signs at random.
    pub(crate) fn random_direction(self, area: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Linf => (0..area).map(|_| if generator.random::<bool>() { 1.0 } else { -1.0 }).collect(),
            Self::L2 => unit(&gaussian(area, generator)),
        }
    }

    /// A random step within the ball of radius 1, uniform in it.
    pub(crate) fn random_step(self, area: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
        match self {
            Self::Linf => (0..area).map(|_| generator.random_range(-1.0..1.0)).collect(),
            Self::L2 => {
                let direction = unit(&gaussian(area, generator));
                // The power of the radius is uniform.
                let radius = generator.random::<f64>().powf(1.0 / area as f64);
                direction.into_iter().map(|value| value * radius).collect()
            }
        }
    }

    /// The largest distance of two images of `area` values in [0, 1].
    pub fn range(self, area: usize) -> f64 {
        match self {
            Self::Linf => 1.0,
            Self::L2 => (area as f64).sqrt(),
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
            epsilon in prop_oneof![0.0..1e-6f64, 0.0..0.05f64, 0.0..1.0f64],
        ) {
            let (original, changed): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            for norm in [Norm::Linf, Norm::L2] {
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
}
