//! Natural-like stimuli.

use super::canvas::{Canvas, develop, expose};
use super::scene::{Litter, log_uniform, normal};
use super::texture::Texture;
use super::{TEXTURE, stream};
use crate::StimulusSet;
use rayon::prelude::*;

/// `count` grayscale images, bytes / 255, that resemble photographs in the statistics relevant to
/// early vision.
///
/// Each is a scene of surfaces that occlude each other, with power-law sizes, shading and texture,
/// under its own illumination. At the paper's 36 x 64 pixels they are close to crops of ImageNet
/// photographs in mean (0.46) and standard deviation (0.25) over all pixels, in the slope of the
/// amplitude spectrum (about f^-1.4), in the heavy tails of differences between neighboring pixels,
/// and in the spread of cosine similarities between centered images (standard deviation about 0.3).
///
/// Image i depends only on the seed and i.
///
/// # Panics
/// Panics if there are no pixels, or if the images are so small that two are equal.
pub fn natural_stimuli(count: usize, height: usize, width: usize, seed: u64) -> StimulusSet {
    let _span = tracing::info_span!("natural_stimuli", count, height, width).entered();
    assert!(height > 0 && width > 0, "an image has pixels");
    let texture = Texture::new(&mut stream(seed, TEXTURE));
    let images: Vec<Vec<f32>> = (0..count as u64)
        .into_par_iter()
        .map(|index| image(height, width, seed, index, &texture))
        .collect();
    StimulusSet::new(height, width, images.concat()).expect("scenes of this many pixels differ")
}

fn image(height: usize, width: usize, seed: u64, index: u64, texture: &Texture) -> Vec<f32> {
    let mut rng = stream(seed, index);
    // Sizes refer to a scene 36 pixels high.
    let unit = height as f32 / 36.0;
    // Some scenes have few large objects, others many small ones: the number of octaves varies
    // between scenes, as between a landscape and undergrowth.
    let litter = Litter {
        radii: [unit * log_uniform(1.2, 8.0, &mut rng), unit * log_uniform(14.0, 45.0, &mut rng)],
        coverage: log_uniform(0.4, 4.0, &mut rng),
        roughness: log_uniform(0.15, 0.6, &mut rng),
    };
    let mut canvas = Canvas::new(height, width);
    litter.scatter(&mut canvas, texture, &mut rng);
    let mut pixels = canvas.pixels();
    let mean = (0.457 + 0.149 * normal(&mut rng)).clamp(0.08, 0.92);
    // A scene that is nearly black or white has little contrast left.
    let room = (mean.min(1.0 - mean) / 0.3).min(1.0).sqrt();
    let std = (0.205 * (0.33 * normal(&mut rng)).exp() * room).min(0.36);
    expose(&mut pixels, mean, std);
    pixels.into_iter().map(|pixel| f32::from(develop(pixel)) / 255.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const HEIGHT: usize = 36;
    const WIDTH: usize = 64;

    fn mean_and_std(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance =
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn bytes_depend_on_seed_and_index_alone() {
        let stimuli = |threads: usize, count: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| natural_stimuli(count, HEIGHT, WIDTH, seed))
        };
        let one = stimuli(1, 12, 4);
        assert_eq!(one, stimuli(3, 12, 4));
        assert_eq!(one.subset(&[0, 1, 2, 3, 4]), stimuli(2, 5, 4));
        assert_ne!(one.ids(), stimuli(2, 12, 5).ids());
        assert!(
            one.pixels().iter().all(|pixel| (pixel * 255.0 - (pixel * 255.0).round()).abs() < 1e-4)
        );
    }

    /// For the 5000 ImageNet crops these are 0.460, 0.247 and a kurtosis of differences of 13.
    #[test]
    fn luminance_contrast_and_edges() {
        let stimuli = natural_stimuli(600, HEIGHT, WIDTH, 11);
        let pixels: Vec<f64> = stimuli.pixels().iter().map(|pixel| f64::from(*pixel)).collect();
        let (mean, std) = mean_and_std(&pixels);
        assert!(
            (mean - 0.46).abs() < 0.02 && (std - 0.247).abs() < 0.015,
            "mean {mean}, std {std}"
        );
        let differences: Vec<f64> = pixels
            .chunks_exact(WIDTH)
            .flat_map(|row| row.windows(2).map(|pair| pair[1] - pair[0]))
            .collect();
        let (middle, spread) = mean_and_std(&differences);
        let fourth =
            differences.iter().map(|value| ((value - middle) / spread).powi(4)).sum::<f64>()
                / differences.len() as f64;
        assert!(
            (8.0..30.0).contains(&fourth),
            "kurtosis {fourth}, which is 3 for noise without edges"
        );
    }

    /// The slope of amplitude over spatial frequency, from plain Fourier transforms of windowed
    /// squares. The crops: -1.36.
    #[test]
    fn amplitude_falls_as_in_photographs() {
        let stimuli = natural_stimuli(200, HEIGHT, WIDTH, 3);
        let n = HEIGHT;
        let window: Vec<f64> =
            (0..n).map(|x| 0.5 - 0.5 * (TAU * x as f64 / (n - 1) as f64).cos()).collect();
        let wave =
            |frequency: usize, x: usize| (TAU * (frequency * x % n) as f64 / n as f64).sin_cos();
        let bins = n / 2 - 1;
        let (mut power, mut counts) = (vec![0.0; bins], vec![0.0; bins]);
        for index in 0..stimuli.len() {
            let square = |y: usize, x: usize| f64::from(stimuli.image(index)[y * WIDTH + 14 + x]);
            let mean = (0..n * n).map(|at| square(at / n, at % n)).sum::<f64>() / (n * n) as f64;
            // Rows first: real and imaginary part of each frequency along x.
            let mut rows = vec![(0.0, 0.0); n * n];
            for y in 0..n {
                for fx in 0..n {
                    for x in 0..n {
                        let (sin, cos) = wave(fx, x);
                        let value = (square(y, x) - mean) * window[y] * window[x];
                        rows[y * n + fx].0 += value * cos;
                        rows[y * n + fx].1 -= value * sin;
                    }
                }
            }
            for fx in 0..n {
                for fy in 0..n {
                    let (mut re, mut im) = (0.0, 0.0);
                    for y in 0..n {
                        let ((sin, cos), (a, b)) = (wave(fy, y), rows[y * n + fx]);
                        re += a * cos + b * sin;
                        im += b * cos - a * sin;
                    }
                    let centered = |frequency: usize| frequency.min(n - frequency) as f64;
                    let bin = centered(fx).hypot(centered(fy)).round() as usize;
                    if (2..bins + 2).contains(&bin) {
                        power[bin - 2] += re * re + im * im;
                        counts[bin - 2] += 1.0;
                    }
                }
            }
        }
        let points: Vec<(f64, f64)> = (0..bins - 1)
            .map(|bin| (((bin + 2) as f64).ln(), 0.5 * (power[bin] / counts[bin]).ln()))
            .collect();
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let ((mx, sx), (my, _)) = (mean_and_std(&x), mean_and_std(&y));
        let slope = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
            / (points.len() as f64 * sx * sx);
        assert!((-1.6..-1.1).contains(&slope), "amplitude falls with exponent {slope}");
    }

    /// The crops: standard deviation 0.30, participation ratio 7.8 (of uncentered images) over 2304
    /// pixels.
    #[test]
    fn similarities_spread_as_those_of_photographs() {
        let stimuli = natural_stimuli(600, HEIGHT, WIDTH, 21);
        let (count, area) = (stimuli.len(), HEIGHT * WIDTH);
        let mut mean = vec![0.0f64; area];
        for index in 0..count {
            mean.iter_mut()
                .zip(stimuli.image(index))
                .for_each(|(sum, pixel)| *sum += f64::from(*pixel) / count as f64);
        }
        let centered: Vec<Vec<f64>> = (0..count)
            .map(|index| {
                stimuli
                    .image(index)
                    .iter()
                    .zip(&mean)
                    .map(|(pixel, mean)| f64::from(*pixel) - mean)
                    .collect()
            })
            .collect();
        let dot = |i: usize, j: usize| {
            centered[i].iter().zip(&centered[j]).map(|(a, b)| a * b).sum::<f64>()
        };
        let energies: Vec<f64> = (0..count).map(|index| dot(index, index)).collect();
        let (mut similarities, mut squares) =
            (Vec::new(), energies.iter().map(|energy| energy * energy).sum::<f64>());
        for i in 0..count {
            for j in 0..i {
                let product = dot(i, j);
                similarities.push(product / (energies[i] * energies[j]).sqrt());
                squares += 2.0 * product * product;
            }
        }
        let (_, spread) = mean_and_std(&similarities);
        // The participation ratio of the Gram matrix: squared trace over the sum of squares.
        let ratio = energies.iter().sum::<f64>().powi(2) / squares;
        assert!((0.26..0.34).contains(&spread), "standard deviation {spread}");
        assert!((6.0..10.0).contains(&ratio), "participation ratio {ratio}");
    }
}
