//! Sizes of perturbations, and the way back into a ball.

use crate::{Error, Result};

/// How a perturbation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Brings `changed` within `epsilon` of `original` and within [0, 1], so that [`Norm::distance`] is at most
    /// `epsilon`, rounding included. What lies within already stays as it is.
    ///
    /// `original` must lie in [0, 1] and `changed` be finite.
    pub fn project(self, original: &[f32], changed: &mut [f32], epsilon: f64) {
        for value in changed.iter_mut() {
            *value = value.clamp(0.0, 1.0);
        }
        match self {
            Self::Linf => {
                for (value, original) in changed.iter_mut().zip(original) {
                    let centre = f64::from(*original);
                    let bounded = f64::from(*value).clamp(centre - epsilon, centre + epsilon) as f32;
                    // Rounding to f32 may have stepped outside again.
                    *value = match f64::from(bounded) - centre {
                        change if change > epsilon => bounded.next_down(),
                        change if change < -epsilon => bounded.next_up(),
                        _ => bounded,
                    };
                }
            }
            Self::L2 => {
                let mut length = self.distance(original, changed);
                // Each pass leaves at most rounding errors of the size of f32's; a little more is taken off every time.
                let mut slack = 1.0;
                while length > epsilon {
                    let scale = epsilon / length * slack;
                    for (value, original) in changed.iter_mut().zip(original) {
                        let centre = f64::from(*original);
                        *value = ((centre + (f64::from(*value) - centre) * scale) as f32).clamp(0.0, 1.0);
                    }
                    length = self.distance(original, changed);
                    slack -= 1e-6;
                }
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

    /// The step of size 1 along which a loss with this gradient grows most; zero where the gradient is.
    pub(crate) fn steepest(self, gradient: &[f32]) -> Vec<f64> {
        match self {
            Self::Linf => gradient.iter().map(|value| if *value == 0.0 { 0.0 } else { f64::from(value.signum()) }).collect(),
            Self::L2 => {
                let length = gradient.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
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
