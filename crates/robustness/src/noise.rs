//! Accuracy under random noise.

use crate::criterion::decision;
use crate::pass::{batches, logits};
use crate::{Accuracy, Classifier, Error, EvalOptions, LabeledBatch, Progress, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A noise distribution, independent for every value of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Normal with the level as standard deviation (section 4 of the paper).
    Gaussian,
    /// Uniform between minus and plus the level.
    Uniform,
    /// Salt and pepper: with the level as probability, each value becomes 0 or 1, equally often.
    SaltAndPepper,
}

/// Treatment of values that noise moves out of [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clamp {
    /// Keep them, so that the noise keeps its distribution; the model then gets values outside [0,
    /// 1].
    None,
    /// Clip them to [0, 1].
    Unit,
    /// Clip them to the smallest and largest value of the image, as in the public code pixel-reg.
    OwnRange,
}

/// Accuracy at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoisePoint {
    /// The noise level.
    pub level: f64,
    /// Number of images classified correctly.
    pub accuracy: Accuracy,
}

impl Noise {
    /// Adds noise to one image. The random stream belongs to the image's `number`: it is the same
    /// in any batch and at every level, so that only the level differs.
    pub fn add(self, image: &mut [f32], level: f64, clamp: Clamp, seed: u64, number: usize) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(number as u64);
        let (least, most) =
            image.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), value| {
                (least.min(*value), most.max(*value))
            });
        for value in image {
            let noisy = match self {
                Self::Gaussian => {
                    f64::from(*value) + level * generator.sample::<f64, _>(StandardNormal)
                }
                Self::Uniform => f64::from(*value) + level * generator.random_range(-1.0..1.0),
                Self::SaltAndPepper => {
                    let (drawn, extreme): (f64, bool) = (generator.random(), generator.random());
                    if drawn < level { f64::from(u8::from(extreme)) } else { f64::from(*value) }
                }
            };
            *value = match clamp {
                Clamp::None => noisy as f32,
                Clamp::Unit => (noisy as f32).clamp(0.0, 1.0),
                Clamp::OwnRange => (noisy as f32).clamp(least, most),
            };
        }
    }

    fn check(self, levels: &[f64]) -> Result<()> {
        let (largest, expected) = match self {
            Self::SaltAndPepper => (1.0, "a probability, 0 to 1"),
            Self::Gaussian | Self::Uniform => (f64::MAX, "a finite level of at least 0"),
        };
        match levels.iter().position(|level| !(0.0..=largest).contains(level)) {
            None => Ok(()),
            Some(index) => Err(Error::Level {
                what: "noise level",
                index,
                expected: expected.into(),
                found: levels[index],
            }),
        }
    }
}

/// Accuracy at each noise level.
///
/// # Errors
/// Returns [`Error::Level`] if a level is negative, not finite, or not a probability if one is
/// needed, [`Error::NotFinite`] if a logit is not finite, and [`Error::Model`] if the model fails.
pub fn noise_curve<'a>(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    noise: Noise,
    clamp: Clamp,
    levels: &[f64],
    options: impl Into<EvalOptions<'a>>,
) -> Result<Vec<NoisePoint>> {
    noise.check(levels)?;
    let _span =
        tracing::info_span!("noise", ?noise, ?clamp, images = labeled.len(), levels = levels.len())
            .entered();
    let mut options = options.into();
    let settings = options.settings;
    let total = levels.len() * labeled.len();
    let mut done = 0;
    let mut points = Vec::with_capacity(levels.len());
    for level in levels {
        let mut correct = 0;
        for batch in batches(labeled.len(), settings.batch) {
            let mut pixels = Vec::with_capacity(batch.len() * labeled.area());
            for index in batch.clone() {
                let start = pixels.len();
                pixels.extend_from_slice(labeled.image(index));
                noise.add(
                    &mut pixels[start..],
                    *level,
                    clamp,
                    settings.seed,
                    labeled.numbers()[index],
                );
            }
            let rows = logits(model, labeled.shape(), &pixels, &labeled.numbers()[batch.clone()])?;
            done += batch.len();
            correct += rows
                .iter()
                .zip(batch)
                .filter(|(row, index)| decision(row) == labeled.label(*index))
                .count();
            options.tell(Progress { done, total });
        }
        points.push(NoisePoint { level: *level, accuracy: Accuracy::new(correct, labeled.len()) });
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(noise: Noise, level: f64, clamp: Clamp, number: usize) -> Vec<f32> {
        let mut image = vec![0.5f32; 20_000];
        noise.add(&mut image, level, clamp, 11, number);
        image
    }

    fn deviation(values: &[f32]) -> f64 {
        (values.iter().map(|value| (f64::from(*value) - 0.5).powi(2)).sum::<f64>()
            / values.len() as f64)
            .sqrt()
    }

    #[test]
    fn noise_has_its_distribution() {
        assert!((deviation(&noisy(Noise::Gaussian, 0.1, Clamp::None, 0)) - 0.1).abs() < 0.002);
        let uniform = noisy(Noise::Uniform, 0.3, Clamp::None, 0);
        assert!((deviation(&uniform) - 0.3 / 3f64.sqrt()).abs() < 0.003);
        assert!(uniform.iter().all(|value| (0.2..=0.8).contains(value)));
        let pepper = noisy(Noise::SaltAndPepper, 0.2, Clamp::None, 0);
        let share = |wanted: f32| {
            pepper.iter().filter(|value| **value == wanted).count() as f64 / pepper.len() as f64
        };
        assert!((share(0.0) - 0.1).abs() < 0.01 && (share(1.0) - 0.1).abs() < 0.01);
    }

    #[test]
    fn the_stream_belongs_to_the_image() {
        let one = noisy(Noise::Gaussian, 0.1, Clamp::None, 1);
        assert_eq!(one, noisy(Noise::Gaussian, 0.1, Clamp::None, 1));
        assert_ne!(one, noisy(Noise::Gaussian, 0.1, Clamp::None, 2));
        // Doubling the level doubles the noise, value by value.
        let twice = noisy(Noise::Gaussian, 0.2, Clamp::None, 1);
        assert!(one.iter().zip(&twice).all(|(a, b)| (2.0 * (a - 0.5) - (b - 0.5)).abs() < 1e-6));
    }

    #[test]
    fn clamping_is_chosen() {
        assert!(noisy(Noise::Gaussian, 1.0, Clamp::None, 0).iter().any(|value| *value < 0.0));
        assert!(
            noisy(Noise::Gaussian, 1.0, Clamp::Unit, 0)
                .iter()
                .all(|value| (0.0..=1.0).contains(value))
        );
        let mut image = [0.2, 0.4, 0.3, 0.4];
        Noise::Gaussian.add(&mut image, 1.0, Clamp::OwnRange, 11, 0);
        assert!(image.iter().all(|value| (0.2..=0.4).contains(value)));
    }

    #[test]
    fn senseless_levels_are_refused() {
        assert!(Noise::Gaussian.check(&[0.0, 2.0]).is_ok());
        assert!(matches!(Noise::Gaussian.check(&[0.1, -0.1]), Err(Error::Level { index: 1, .. })));
        assert!(matches!(Noise::SaltAndPepper.check(&[1.1]), Err(Error::Level { index: 0, .. })));
        assert!(Noise::Uniform.check(&[f64::NAN]).is_err());
    }
}
