//! Untrained features: moduli of Gabor filters at three octaves, their rectified phases, and moduli
//! of Gabor filters applied to those moduli, which respond to texture and contours (Mallat, "Group
//! invariant scattering", 2012; Bruna & Mallat 2013).

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use brainprior_images::StimulusSet;
use brainprior_kernels::{Conv2dGeometry, conv2d};
use candle_core::{Device, Tensor};

use super::features::{Features, Scale};
use crate::error::Result;

/// Octaves at which the image is filtered; each halves its size.
const OCTAVES: usize = 3;
/// Wavelengths of the filters, in pixels of the octave.
const WAVELENGTHS: [f64; 2] = [4.0, 5.66];
const ORIENTATIONS: usize = 8;
const SIDE: usize = 11;
/// Wavelength of the second-layer filters.
const SECOND_WAVELENGTH: f64 = 4.0;
const SECOND_ORIENTATIONS: usize = 4;
const SECOND_SIDE: usize = 9;
/// Moduli smaller than this, in pixels, are not filtered again.
const LEAST_SIDE: usize = 5;
/// Standard deviation of a filter in wavelengths.
const WIDTH: f64 = 0.45;
/// Weights of the four kinds in the inner product of two images, tuned on macaque V4 (training
/// images only).
const FIRST: f32 = 1.0;
const PHASES: f32 = 1.0;
const SECOND: f32 = 3.0;
const LUMINANCE: f32 = 0.1;
/// Pixels filtered together.
const BATCH: usize = 32 * 64 * 64;

/// Computes the features of `stimuli` on the grid.
pub(super) fn of(stimuli: &StimulusSet) -> Result<Features> {
    let (height, width) = (stimuli.height(), stimuli.width());
    let pixels = stimuli.pixels();
    let mean = pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / pixels.len() as f64;
    let variance =
        pixels.iter().map(|p| (f64::from(*p) - mean).powi(2)).sum::<f64>() / pixels.len() as f64;
    let std = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    let first = bank(&WAVELENGTHS, ORIENTATIONS, SIDE)?;
    let second = bank(&[SECOND_WAVELENGTH], SECOND_ORIENTATIONS, SECOND_SIDE)?;
    let mut features = Features::empty(stimuli.ids());
    for part in pixels.chunks((BATCH / (height * width)).max(1) * height * width) {
        let images: Vec<f32> = part.iter().map(|p| ((f64::from(*p) - mean) / std) as f32).collect();
        let mut image = Tensor::from_vec(
            images,
            (part.len() / (height * width), 1, height, width),
            &Device::Cpu,
        )?;
        let (mut moduli, mut phases, mut again) = (Vec::new(), Vec::new(), Vec::new());
        features.add_image_wide(&image, LUMINANCE)?;
        for octave in 0..OCTAVES {
            if octave > 0 {
                if image.dim(2)?.min(image.dim(3)?) < 2 * LEAST_SIDE {
                    break;
                }
                image = image.avg_pool2d(2)?;
            }
            let filtered = convolved(&image, &first)?;
            phases.push(filtered.relu()?);
            phases.push(filtered.neg()?.relu()?);
            let mut modulus = modulus(&filtered)?;
            moduli.push(modulus.clone());
            for _ in 0..OCTAVES {
                if modulus.dim(2)?.min(modulus.dim(3)?) < 2 * LEAST_SIDE {
                    break;
                }
                modulus = modulus.avg_pool2d(2)?;
                let (count, channels, rows, columns) = modulus.dims4()?;
                let planes = modulus.reshape((count * channels, 1, rows, columns))?;
                let of_moduli = self::modulus(&convolved(&planes, &second)?)?;
                again.push(of_moduli.reshape((
                    count,
                    channels * SECOND_ORIENTATIONS,
                    rows,
                    columns,
                ))?);
            }
        }
        features.add(0, &moduli, FIRST, Scale::Logarithm)?;
        features.add(1, &phases, PHASES, Scale::Logarithm)?;
        if !again.is_empty() {
            features.add(2, &again, SECOND, Scale::Logarithm)?;
        }
    }
    Ok(features)
}

/// Root of the sum of squares of neighboring channels, the two phases of a filter.
fn modulus(filtered: &Tensor) -> Result<Tensor> {
    let (count, channels, rows, columns) = filtered.dims4()?;
    Ok(filtered
        .sqr()?
        .reshape((count, channels / 2, 2, rows * columns))?
        .sum(2)?
        .sqrt()?
        .reshape((count, channels / 2, rows, columns))?)
}

/// Convolves `planes` `[count, 1, rows, columns]` with all filters; border pixels are repeated.
fn convolved(planes: &Tensor, filters: &Tensor) -> Result<Tensor> {
    let reach = filters.dim(3)? / 2;
    let padded =
        planes.pad_with_same(3, reach, reach)?.pad_with_same(2, reach, reach)?.contiguous()?;
    Ok(conv2d(&padded, filters, Conv2dGeometry::default())?)
}

/// Zero-mean Gabor filters of unit norm with two phases each, `[filters, 1, side, side]`.
fn bank(wavelengths: &[f64], orientations: usize, side: usize) -> Result<Tensor> {
    let half = (side as f64 - 1.0) / 2.0;
    let mut bank = Vec::new();
    for wavelength in wavelengths {
        for orientation in 0..orientations {
            for phase in [0.0, FRAC_PI_2] {
                let (sin, cos) = (PI * orientation as f64 / orientations as f64).sin_cos();
                let sigma = WIDTH * wavelength;
                let pixel = |i: usize| ((i % side) as f64 - half, (i / side) as f64 - half);
                let envelope: Vec<f64> = (0..side * side)
                    .map(pixel)
                    .map(|(x, y)| (-(x * x + y * y) / (2.0 * sigma * sigma)).exp())
                    .collect();
                let wave: Vec<f64> = (0..side * side)
                    .map(pixel)
                    .map(|(x, y)| (TAU * (x * cos + y * sin) / wavelength + phase).cos())
                    .collect();
                let offset = envelope.iter().zip(&wave).map(|(e, w)| e * w).sum::<f64>()
                    / envelope.iter().sum::<f64>();
                let filter: Vec<f64> =
                    envelope.iter().zip(&wave).map(|(e, w)| e * (w - offset)).collect();
                let norm = filter.iter().map(|v| v * v).sum::<f64>().sqrt();
                bank.extend(filter.iter().map(|v| (v / norm) as f32));
            }
        }
    }
    let count = bank.len() / (side * side);
    Ok(Tensor::from_vec(bank, (count, 1, side, side), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_unit_norm_and_no_mean() {
        for filter in bank(&WAVELENGTHS, ORIENTATIONS, SIDE)
            .unwrap()
            .flatten_from(1)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap()
        {
            let (sum, square) =
                filter.iter().fold((0.0, 0.0), |(sum, square), v| (sum + v, square + v * v));
            assert!(sum.abs() < 1e-4 && (square - 1.0).abs() < 1e-5, "{sum} {square}");
        }
    }

    #[test]
    fn images_too_small_for_the_second_filters_have_the_other_features() {
        for (height, width, groups) in [(2, 2, 2), (9, 12, 2), (9, 64, 2), (10, 16, 3)] {
            let pixels = (0..4 * height * width).map(|i| (i * i % 13) as f32 / 12.0).collect();
            let features = of(&StimulusSet::new(height, width, pixels).unwrap()).unwrap();
            assert_eq!(features.groups(), groups, "{height} x {width}");
        }
    }

    #[test]
    fn the_modulus_of_a_grating_does_not_depend_on_its_phase() {
        let grating = |phase: f64| -> Vec<f32> {
            (0..32 * 32).map(|i| (TAU * (i % 32) as f64 / 4.0 + phase).cos() as f32).collect()
        };
        let centre = |phase: f64| {
            let image = Tensor::from_vec(grating(phase), (1, 1, 32, 32), &Device::Cpu).unwrap();
            let found =
                modulus(&convolved(&image, &bank(&[4.0], 1, SIDE).unwrap()).unwrap()).unwrap();
            found.flatten_all().unwrap().to_vec1::<f32>().unwrap()[16 * 32 + 16]
        };
        let (a, b) = (centre(0.0), centre(0.9));
        assert!(a > 1.0 && (a - b).abs() < 0.05 * a, "{a} {b}");
    }
}
