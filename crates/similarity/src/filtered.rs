//! Controls from simple filters: low-pass pixels and orientation energy as targets instead of a
//! brain.

use crate::{Result, SimilarityMatrix, vectors};
use brainprior_images::StimulusSet;
use ndarray::{Array2, ArrayView2, s};
use std::f32::consts::{PI, TAU};

/// Spatial frequencies of the energy filters, in cycles per pixel.
const FREQUENCIES: [f32; 3] = [0.06, 0.12, 0.24];
const ORIENTATIONS: usize = 8;
/// Cycles per standard deviation of an envelope.
const CYCLES: f32 = 0.4;

/// The control *low-pass pixels*: [`crate::pixels`] of images filtered with a Gaussian of standard
/// deviation `sigma` pixels and repeated edge pixels.
///
/// # Errors
/// See [`crate::pixels`].
pub fn low_pass_pixels(stimuli: &StimulusSet, sigma: f32) -> Result<SimilarityMatrix> {
    let (height, width) = (stimuli.height(), stimuli.width());
    let values = low_pass(stimuli.pixels(), height, width, sigma);
    let source = format!("pixels, {height} x {width}, under a Gaussian of {sigma} pixels");
    vectors(stimuli.ids(), rows(stimuli, &values), &vec![1.0; height * width], &source)
}

/// One value per pixel of each image, `[images, pixels]`.
fn rows<'a>(stimuli: &StimulusSet, values: &'a [f32]) -> ArrayView2<'a, f32> {
    let shape = (stimuli.len(), stimuli.height() * stimuli.width());
    ArrayView2::from_shape(shape, values).expect("a value for each pixel")
}

fn low_pass(pixels: &[f32], height: usize, width: usize, sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f32> =
        (-reach..=reach).map(|at| (-(at * at) as f32 / (2.0 * sigma * sigma)).exp()).collect();
    let total: f32 = weights.iter().sum();
    // Filters along rows, then along columns.
    let along = |from: &[f32], step: usize, length: usize| -> Vec<f32> {
        (0..from.len())
            .map(|pixel| {
                let at = ((pixel / step) % length) as isize;
                let start = pixel - at as usize * step;
                let value = |offset: isize| {
                    from[start + (at + offset).clamp(0, length as isize - 1) as usize * step]
                };
                (-reach..=reach)
                    .zip(&weights)
                    .map(|(offset, weight)| weight * value(offset))
                    .sum::<f32>()
                    / total
            })
            .collect()
    };
    let one = |image: &[f32]| along(&along(image, 1, width), width, height);
    pixels.chunks_exact(height * width).flat_map(one).collect()
}

/// The control *orientation energy*: the formula of [`crate::similarity`] with the energies of
/// quadrature Gabor filters as each image's vector. The filters have eight orientations and 0.06,
/// 0.12 and 0.24 cycles per pixel, spaced by one envelope; each energy is divided by its standard
/// deviation over the images.
///
/// # Errors
/// Returns an error if there are fewer than two images or they have no contrast.
pub fn orientation_energy(stimuli: &StimulusSet) -> Result<SimilarityMatrix> {
    let (height, width) = (stimuli.height(), stimuli.width());
    let pixels = rows(stimuli, stimuli.pixels());
    let banks: Vec<[Array2<f32>; 2]> = FREQUENCIES
        .iter()
        .flat_map(|frequency| {
            (0..ORIENTATIONS).map(|index| (*frequency, PI * index as f32 / ORIENTATIONS as f32))
        })
        .map(|(frequency, orientation)| filters(frequency, orientation, height, width))
        .collect();
    let columns: usize = banks.iter().map(|[even, _]| even.ncols()).sum();
    let mut energy = Array2::zeros((stimuli.len(), columns));
    let mut first = 0;
    for [even, odd] in banks {
        let (even, odd) = (pixels.dot(&even), pixels.dot(&odd));
        let last = first + even.ncols();
        ndarray::Zip::from(energy.slice_mut(s![.., first..last]))
            .and(&even)
            .and(&odd)
            .par_for_each(|energy, even, odd| *energy = even.hypot(*odd));
        first = last;
    }
    let weight = |column: ndarray::ArrayView1<f32>| {
        let std = column.mapv(f64::from).std(0.0) as f32;
        if std > 0.0 { 1.0 / std } else { 0.0 }
    };
    let weights: Vec<f32> = energy.columns().into_iter().map(weight).collect();
    vectors(
        stimuli.ids(),
        energy.view(),
        &weights,
        &format!("orientation energy, {height} x {width}"),
    )
}

/// Zero-mean even and odd filters `[pixels, places]`.
fn filters(frequency: f32, orientation: f32, height: usize, width: usize) -> [Array2<f32>; 2] {
    let sigma = CYCLES / frequency;
    let step = (sigma.round() as usize).max(1);
    let along = |length: usize| (step / 2..length).step_by(step).collect::<Vec<_>>();
    let (rows, columns) = (along(height), along(width));
    let places: Vec<(usize, usize)> =
        rows.iter().flat_map(|row| columns.iter().map(|column| (*row, *column))).collect();
    let (sine, cosine) = orientation.sin_cos();
    let mut pair = [
        Array2::zeros((height * width, places.len())),
        Array2::zeros((height * width, places.len())),
    ];
    for (place, (row, column)) in places.iter().enumerate() {
        let at = |pixel: usize| {
            ((pixel % width) as f32 - *column as f32, (pixel / width) as f32 - *row as f32)
        };
        let envelope: Vec<f32> = (0..height * width)
            .map(|pixel| {
                let (dx, dy) = at(pixel);
                (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp()
            })
            .collect();
        let area: f32 = envelope.iter().sum();
        for (filter, carrier) in pair.iter_mut().zip([f32::cos, f32::sin]) {
            let values: Vec<f32> = (0..height * width)
                .map(|pixel| {
                    let (dx, dy) = at(pixel);
                    envelope[pixel] * carrier(TAU * frequency * (dx * cosine + dy * sine))
                })
                .collect();
            let share = values.iter().sum::<f32>() / area;
            for (pixel, (value, envelope)) in values.iter().zip(&envelope).enumerate() {
                filter[[pixel, place]] = (value - share * envelope) / area;
            }
        }
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pearson, pixels};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_gaussian_keeps_uniform_light_and_takes_out_what_is_fine() {
        let flat = low_pass(&[0.5; 12 * 10], 12, 10, 1.5);
        assert!(flat.iter().all(|value| (value - 0.5).abs() < 1e-6));
        // A grating of 0.25 cycles per pixel keeps a fraction exp(-2 (pi f sigma)^2) of its
        // amplitude.
        let (height, width) = (4, 40);
        let grating: Vec<f32> =
            (0..height * width).map(|pixel| (TAU * 0.25 * (pixel % width) as f32).cos()).collect();
        let seen = low_pass(&grating, height, width, 1.0);
        let kept = (-2.0 * (PI * 0.25).powi(2)).exp();
        assert!((seen[20] - kept * grating[20]).abs() < 0.01, "{} against {}", seen[20], kept);
        // A single point becomes a two-dimensional Gaussian.
        let mut point = vec![0.0; 21 * 21];
        point[10 * 21 + 10] = 1.0;
        let spot = low_pass(&point, 21, 21, 1.5);
        let expected = |dx: f32, dy: f32| (-(dx * dx + dy * dy) / 4.5).exp() / (TAU * 2.25);
        for (dx, dy) in [(0, 0), (1, 0), (0, 2), (2, 2)] {
            let found = spot[(10 + dy) * 21 + 10 + dx];
            assert!((found - expected(dx as f32, dy as f32)).abs() < 0.001, "{dx}, {dy}: {found}");
        }
    }

    /// Gratings of two orientations at random phases: energy distinguishes orientations at any
    /// phase, pixels do not.
    #[test]
    fn energy_tells_orientations_apart_and_not_phases() {
        let mut generator = ChaCha8Rng::seed_from_u64(2);
        let (height, width, images) = (24, 24, 24);
        let mut values = vec![];
        for image in 0..images {
            let (sine, cosine) = (if image % 2 == 0 { 0.0 } else { PI / 2.0f32 }).sin_cos();
            let phase: f32 = generator.random_range(0.0..TAU);
            let pixel = |pixel: usize| {
                let (x, y) = ((pixel % width) as f32, (pixel / width) as f32);
                0.5 + 0.4 * (TAU * 0.12 * (x * cosine + y * sine) + phase).sin()
            };
            values.extend((0..height * width).map(pixel));
        }
        let stimuli = StimulusSet::new(height, width, values).unwrap();
        let energy = orientation_energy(&stimuli).unwrap();
        let same = |i: usize, j: usize| i % 2 == j % 2;
        for i in 0..images {
            for j in i + 1..images {
                assert_eq!(energy.get(i, j) > 0.0, same(i, j), "{i}, {j}: {}", energy.get(i, j));
            }
        }
        assert!(pearson(&energy, &pixels(&stimuli).unwrap()).unwrap() < 0.5);
        // Small differences in luminance give no energy.
        assert!(low_pass_pixels(&stimuli, 2.0).is_ok());
    }
}
