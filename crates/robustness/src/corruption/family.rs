//! Common corruptions at five severities: those of CIFAR-10-C that make sense for grayscale images.

use super::plane::Plane;
use super::{blur, digital, noise, weather};
use crate::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A corruption of CIFAR-10-C (Hendrycks and Dietterich 2019) as made by `make_cifar_c.py`, with
/// its parameters and truncated to bytes like its files. Frost (which needs photographs of frost),
/// spatter and saturate (which act on color) are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Corruption {
    /// Gaussian noise.
    GaussianNoise,
    /// Poisson noise of counted photons.
    ShotNoise,
    /// Random values set to 0 or 1.
    ImpulseNoise,
    /// Gaussian noise proportional to the value.
    SpeckleNoise,
    /// Gaussian blur.
    GaussianBlur,
    /// Out-of-focus blur, with a disk.
    DefocusBlur,
    /// Frosted glass: neighbors swapped between two blurs.
    GlassBlur,
    /// A trail in one direction.
    MotionBlur,
    /// Mean of several enlargements.
    ZoomBlur,
    /// Bright flakes with trails on a brightened image.
    Snow,
    /// An added fractal cloud.
    Fog,
    /// An added constant.
    Brightness,
    /// Values moved towards their mean.
    Contrast,
    /// A random affine map and random displacements.
    Elastic,
    /// Fewer and larger pixels.
    Pixelate,
    /// JPEG at low quality.
    Jpeg,
}

impl Corruption {
    /// All corruptions, ordered by noise, blur, weather, digital.
    pub const ALL: [Self; 16] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::SpeckleNoise,
        Self::GaussianBlur,
        Self::DefocusBlur,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Snow,
        Self::Fog,
        Self::Brightness,
        Self::Contrast,
        Self::Elastic,
        Self::Pixelate,
        Self::Jpeg,
    ];

    /// The name used by the files of CIFAR-10-C.
    pub fn name(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian_noise",
            Self::ShotNoise => "shot_noise",
            Self::ImpulseNoise => "impulse_noise",
            Self::SpeckleNoise => "speckle_noise",
            Self::GaussianBlur => "gaussian_blur",
            Self::DefocusBlur => "defocus_blur",
            Self::GlassBlur => "glass_blur",
            Self::MotionBlur => "motion_blur",
            Self::ZoomBlur => "zoom_blur",
            Self::Snow => "snow",
            Self::Fog => "fog",
            Self::Brightness => "brightness",
            Self::Contrast => "contrast",
            Self::Elastic => "elastic_transform",
            Self::Pixelate => "pixelate",
            Self::Jpeg => "jpeg_compression",
        }
    }

    /// Corrupts image `number` of shape `[channels, height, width]`, in [0, 1] before and after.
    /// The random numbers depend on the corruption, the image and the seed: they are the same in
    /// any batch and for each severity.
    ///
    /// # Errors
    /// Returns [`Error::Level`] if the severity is not in 1 to 5, [`Error::Size`] if the image is
    /// smaller than 8 x 8, has a number of values other than its shape implies, or has neither 1
    /// nor 3 channels when compressed as a JPEG, and [`Error::Jpeg`] if the JPEG codec fails.
    pub fn apply(
        self,
        shape: [usize; 3],
        pixels: &mut [f32],
        severity: usize,
        seed: u64,
        number: usize,
    ) -> Result<()> {
        if !(1..=5).contains(&severity) {
            let expected = "1 to 5".into();
            return Err(Error::Level {
                what: "corruption severity",
                index: 0,
                expected,
                found: severity as f64,
            });
        }
        let [channels, height, width] = shape;
        if height.min(width) < 8 || (self == Self::Jpeg && ![1, 3].contains(&channels)) {
            return Err(Error::Size {
                what: "images to corrupt",
                expected: "at least 8 x 8, for JPEG with 1 or 3 channels".into(),
                found: format!("{channels} x {height} x {width}"),
            });
        }
        if pixels.len() != channels * height * width {
            return Err(Error::Size {
                what: "pixels of an image to corrupt",
                expected: format!("{channels} x {height} x {width}"),
                found: pixels.len().to_string(),
            });
        }
        let level = severity - 1;
        let mut generator =
            ChaCha8Rng::seed_from_u64(seed ^ (1 + self as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        generator.set_stream(number as u64);
        let planes: Vec<Plane> = pixels
            .chunks_exact(height * width)
            .map(|values| Plane::new(height, width, values.to_vec()))
            .collect();
        let corrupted = match self {
            Self::GaussianNoise => noise::gaussian(planes, level, &mut generator),
            Self::ShotNoise => noise::shot(planes, level, &mut generator),
            Self::ImpulseNoise => noise::impulse(planes, level, &mut generator),
            Self::SpeckleNoise => noise::speckle(planes, level, &mut generator),
            Self::GaussianBlur => blur::gaussian(planes, level),
            Self::DefocusBlur => blur::defocus(planes, level),
            Self::GlassBlur => blur::glass(planes, level, &mut generator),
            Self::MotionBlur => blur::motion(planes, level, &mut generator),
            Self::ZoomBlur => blur::zoom(planes, level),
            Self::Snow => weather::snow(planes, level, &mut generator),
            Self::Fog => weather::fog(planes, level, &mut generator),
            Self::Brightness => weather::brightness(planes, level),
            Self::Contrast => digital::contrast(planes, level),
            Self::Elastic => digital::elastic(planes, level, &mut generator),
            Self::Pixelate => digital::pixelate(planes, level),
            Self::Jpeg => digital::jpeg(planes, level)?,
        };
        for (target, plane) in pixels.chunks_exact_mut(height * width).zip(corrupted) {
            target.copy_from_slice(&plane.cut_to_bytes().values);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A soft pattern with an edge.
    fn image(side: usize) -> Vec<f32> {
        (0..side * side)
            .map(|index| {
                let (y, x) = ((index / side) as f32, (index % side) as f32);
                0.45 + 0.25 * (0.7 * x).sin() * (0.4 * y).cos() + if x > 12.0 { 0.2 } else { 0.0 }
            })
            .collect()
    }

    fn corrupted(corruption: Corruption, severity: usize, seed: u64, number: usize) -> Vec<f32> {
        let mut pixels = image(32);
        corruption.apply([1, 32, 32], &mut pixels, severity, seed, number).unwrap();
        pixels
    }

    fn change(corruption: Corruption, severity: usize) -> f64 {
        let original = image(32);
        let distance = |number| {
            crate::Norm::L2.distance(&original, &corrupted(corruption, severity, 3, number))
        };
        (0..8).map(distance).sum::<f64>() / 8.0
    }

    #[test]
    fn severities_rise_and_values_stay_in_range() {
        for corruption in Corruption::ALL {
            let changes: Vec<f64> = (1..=5).map(|severity| change(corruption, severity)).collect();
            assert!(changes[0] > 0.0, "{corruption:?}");
            // Elastic goes from an affine map to local displacements, which change pixels less but
            // destroy more. Glass repeats a weaker shuffle, snow changes its flakes, and coarse
            // pixels may happen to fit, so that not every step increases the change.
            assert!(
                changes[4] > 1.15 * changes[0] || corruption == Corruption::Elastic,
                "{corruption:?}: {changes:?}"
            );
            let uneven = [
                Corruption::Elastic,
                Corruption::GlassBlur,
                Corruption::Snow,
                Corruption::Pixelate,
            ];
            if !uneven.contains(&corruption) {
                assert!(
                    changes.windows(2).all(|pair| pair[1] >= 0.999 * pair[0]),
                    "{corruption:?}: {changes:?}"
                );
            }
            let values = corrupted(corruption, 5, 1, 2);
            assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{corruption:?}");
        }
    }

    #[test]
    fn random_numbers_belong_to_the_image() {
        let random = [
            Corruption::GaussianNoise,
            Corruption::ShotNoise,
            Corruption::ImpulseNoise,
            Corruption::SpeckleNoise,
            Corruption::GlassBlur,
            Corruption::MotionBlur,
            Corruption::Snow,
            Corruption::Fog,
            Corruption::Elastic,
        ];
        for corruption in Corruption::ALL {
            assert_eq!(
                corrupted(corruption, 4, 1, 2),
                corrupted(corruption, 4, 1, 2),
                "{corruption:?}"
            );
            let differ = corrupted(corruption, 4, 1, 2) != corrupted(corruption, 4, 1, 3);
            assert_eq!(differ, random.contains(&corruption), "{corruption:?}");
        }
    }

    #[test]
    fn every_size_and_color() {
        for corruption in Corruption::ALL {
            for shape in [[1, 9, 13], [3, 32, 32], [1, 36, 64]] {
                let mut pixels: Vec<f32> =
                    (0..shape.iter().product()).map(|index| (index % 97) as f32 / 96.0).collect();
                corruption
                    .apply(shape, &mut pixels, 3, 5, 7)
                    .unwrap_or_else(|error| panic!("{corruption:?}: {error}"));
                assert!(pixels.iter().all(|value| (0.0..=1.0).contains(value)), "{corruption:?}");
            }
        }
    }

    #[test]
    fn bad_input_is_named() {
        let severity =
            |severity| Corruption::Fog.apply([1, 32, 32], &mut image(32), severity, 0, 0);
        assert!(
            matches!(severity(0), Err(Error::Level { .. }))
                && matches!(severity(6), Err(Error::Level { .. }))
        );
        assert!(matches!(
            Corruption::Jpeg.apply([2, 32, 16], &mut image(32), 1, 0, 0),
            Err(Error::Size { .. })
        ));
    }
}
