//! Locates receptive fields by reverse correlation, as initial positions of the readout.
//!
//! A position learns from the gradient of the features around it, so it can only find a receptive
//! field that it already overlaps. We therefore initialize it by reverse correlation. Responses to
//! the training images are regressed on maps of local contrast energy (quadrature pairs of Gabor
//! filters, four orientations, three octaves), of the filter outputs in the lowest octave (simple
//! cells) and of luminance (ON and OFF), all on a grid of 4 x 4 pixels. In natural images contrast
//! and luminance are spatially correlated, so plain correlations have no sharp peak; instead, each
//! map gets a ridge regression over its own cells, with coefficients in standard deviations under
//! the null hypothesis of no response to the image. Their squares (for energies, only of positive
//! coefficients) are summed over maps and smoothed; the peak is refined to the center of mass
//! around it.

use std::f64::consts::{FRAC_PI_2, PI};

use brainprior_kernels::{Conv2dGeometry, area_pool, conv2d};
use candle_core::{Device, Result, Tensor};

use crate::error;

const ORIENTATIONS: usize = 4;
/// Octaves: the image, and its averages over blocks of 2 and of 4 pixels.
const OCTAVES: usize = 3;
/// Cycles per pixel of an octave: 0.15, 0.075 and 0.0375 per image pixel.
const FREQUENCY: f64 = 0.15;
const SIDE: usize = 13;
const ENERGIES: usize = ORIENTATIONS * OCTAVES;
/// Filter outputs of the lowest octave, and luminance.
const SIGNED: usize = 2 * ORIENTATIONS + 1;
const MAPS: usize = ENERGIES + SIGNED;
/// Ridge, in units of the variance of a cell, so that image directions with less variance are not
/// amplified.
const RIDGE: f64 = 1.0;
/// Threshold for a clear peak: standard deviations of one cell's score above chance.
const CLEAR: f64 = 5.0;

/// Contrast energy and luminance of images on a coarse grid.
pub(crate) struct ContrastMaps {
    rows: usize,
    columns: usize,
    height: usize,
    width: usize,
    /// `[images, MAPS * rows * columns]`
    values: Vec<f32>,
}

/// The initial position of one neuron.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Start {
    /// (x, y) in [-1, 1].
    pub(crate) position: [f32; 2],
    /// False without a clear peak; the position is then the mean of the clear ones, or the image
    /// center.
    pub(crate) clear: bool,
}

impl ContrastMaps {
    /// Computes the maps of normalized images `[images, 1, height, width]`, given in batches.
    pub(crate) fn new(batches: impl Iterator<Item = error::Result<Tensor>>) -> error::Result<Self> {
        let bank = gabor_bank()?;
        let mut maps = Self { rows: 0, columns: 0, height: 0, width: 0, values: Vec::new() };
        for images in batches {
            let mut octave = images?;
            (_, _, maps.height, maps.width) = octave.dims4()?;
            let mut all = Vec::with_capacity(OCTAVES + 2);
            for o in 0..OCTAVES {
                // The first octave uses stride 2, since the maps are averaged anyway.
                let stride = if o == 0 { 2 } else { 1 };
                let values = conv2d(
                    &octave,
                    &bank,
                    Conv2dGeometry { stride, padding: SIDE / 2, ..Default::default() },
                )?;
                let even = values.narrow(1, 0, ORIENTATIONS)?.sqr()?;
                let energy =
                    (even + values.narrow(1, ORIENTATIONS, ORIENTATIONS)?.sqr()?)?.sqrt()?;
                if o + 1 < OCTAVES {
                    all.push(area_pool(&energy, 2)?);
                    octave = area_pool(&octave, 2)?;
                } else {
                    all.extend([energy, values, octave.clone()]);
                }
            }
            let all = Tensor::cat(&all, 1)?;
            (_, _, maps.rows, maps.columns) = all.dims4()?;
            maps.values.extend(all.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(maps)
    }

    /// Initial positions of the neurons with `responses` `[trials, neurons]` to the images `images`
    /// of these maps.
    pub(crate) fn starts(
        &self,
        images: &[usize],
        responses: &[f32],
        neurons: usize,
    ) -> Result<Vec<Start>> {
        let cells = self.rows * self.columns;
        let features = MAPS * cells;
        let trials = images.len();
        let mut x = Vec::with_capacity(trials * features);
        images
            .iter()
            .for_each(|&i| x.extend_from_slice(&self.values[i * features..(i + 1) * features]));
        standardize(&mut x, features);
        let mut r = responses.to_vec();
        standardize(&mut r, neurons);
        let x = Tensor::from_vec(x, (trials, features), &Device::Cpu)?;
        let r = Tensor::from_vec(r, (trials, neurons), &Device::Cpu)?.t()?;
        let mut scores = vec![vec![0.0; cells]; neurons];
        for m in 0..MAPS {
            let map = x.narrow(1, m * cells, cells)?.contiguous()?;
            let covariance = (map.t()?.matmul(&map)? / trials as f64)?.to_vec2::<f32>()?;
            let whitening = Whitening::new(&covariance);
            let correlations = (r.matmul(&map)? / trials as f64)?.to_vec2::<f32>()?;
            for (score, correlations) in scores.iter_mut().zip(&correlations) {
                for (score, z) in score.iter_mut().zip(whitening.deviations(correlations, trials)) {
                    *score += if m < ENERGIES { z.max(0.0).powi(2) } else { z * z };
                }
            }
        }
        // Squared normal numbers have mean 1 and variance 2; of positive ones only, mean 1/2 and
        // variance 5/4.
        let mean = 0.5 * ENERGIES as f64 + SIGNED as f64;
        let variance = 1.25 * ENERGIES as f64 + 2.0 * SIGNED as f64;
        let least = mean + CLEAR * variance.sqrt();
        let mut starts: Vec<Start> = scores.iter().map(|score| self.peak(score, least)).collect();
        let clear: Vec<[f32; 2]> = starts.iter().filter(|s| s.clear).map(|s| s.position).collect();
        let mean = |k: usize| clear.iter().map(|p| p[k]).sum::<f32>() / clear.len().max(1) as f32;
        let center = [mean(0), mean(1)];
        starts.iter_mut().filter(|s| !s.clear).for_each(|s| s.position = center);
        Ok(starts)
    }

    fn peak(&self, score: &[f64], least: f64) -> Start {
        let (rows, columns) = (self.rows, self.columns);
        let around = |r: usize, c: usize| {
            let (rs, cs) =
                (r.saturating_sub(1)..(r + 2).min(rows), c.saturating_sub(1)..(c + 2).min(columns));
            rs.flat_map(move |r| cs.clone().map(move |c| (r, c)))
        };
        let smoothed = |r: usize, c: usize| {
            let weight = |(i, j): (usize, usize)| [1.0, 0.5, 0.25][r.abs_diff(i) + c.abs_diff(j)];
            let (sum, norm) = around(r, c).fold((0.0, 0.0), |(sum, norm), at| {
                (sum + weight(at) * score[at.0 * columns + at.1], norm + weight(at))
            });
            sum / norm
        };
        let mut best = (0, 0, f64::NEG_INFINITY);
        for r in 0..rows {
            for c in 0..columns {
                let value = smoothed(r, c);
                if value > best.2 {
                    best = (r, c, value);
                }
            }
        }
        let (r, c, value) = best;
        let (mut x, mut y, mut mass) = (0.0, 0.0, 1e-12);
        for (i, j) in around(r, c) {
            let m = score[i * columns + j];
            x += m * (j as f64 - c as f64);
            y += m * (i as f64 - r as f64);
            mass += m;
        }
        // A cell covers 4 pixels, even if the border cuts the last one.
        let unit = |cell: f64, pixels: usize| {
            ((cell + 0.5) * 8.0 / pixels as f64 - 1.0).clamp(-1.0, 1.0) as f32
        };
        let position =
            [unit(c as f64 + x / mass, self.width), unit(r as f64 + y / mass, self.height)];
        Start { position, clear: value > least }
    }
}

/// The ridge regression of responses on the cells of one map.
struct Whitening {
    /// (C + ridge)^-1, where C are the correlations between cells.
    inverse: Vec<Vec<f64>>,
    /// Square root of the diagonal of inverse C inverse: the standard deviation of a coefficient
    /// under the null, times sqrt(trials).
    chance: Vec<f64>,
}

impl Whitening {
    fn new(covariance: &[Vec<f32>]) -> Self {
        let mut ridged: Vec<Vec<f64>> =
            covariance.iter().map(|row| row.iter().map(|&c| f64::from(c)).collect()).collect();
        (0..ridged.len()).for_each(|i| ridged[i][i] += RIDGE);
        let inverse = inverse(ridged);
        let chance = inverse.iter().map(|row| {
            let through = |j: usize| {
                covariance[j].iter().zip(row).map(|(&c, a)| f64::from(c) * a).sum::<f64>()
            };
            row.iter().enumerate().map(|(j, a)| a * through(j)).sum::<f64>().max(1e-12).sqrt()
        });
        Self { chance: chance.collect(), inverse }
    }

    /// Coefficients of one neuron in standard deviations under the null.
    fn deviations<'a>(
        &'a self,
        correlations: &'a [f32],
        trials: usize,
    ) -> impl Iterator<Item = f64> + 'a {
        self.inverse.iter().zip(&self.chance).map(move |(row, chance)| {
            let coefficient: f64 =
                row.iter().zip(correlations).map(|(a, &c)| a * f64::from(c)).sum();
            coefficient / chance * (trials as f64).sqrt()
        })
    }
}

/// Inverse of a symmetric positive definite matrix by Gauss-Jordan elimination, which needs no
/// pivoting here.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for k in 0..matrix.len() {
        let pivot = matrix[k][k];
        matrix[k][k] = 1.0;
        matrix[k].iter_mut().for_each(|v| *v /= pivot);
        let row = matrix[k].clone();
        for (_, other) in matrix.iter_mut().enumerate().filter(|(i, _)| *i != k) {
            let factor = std::mem::take(&mut other[k]);
            other.iter_mut().zip(&row).for_each(|(v, r)| *v -= factor * r);
        }
    }
    matrix
}

/// Even filters of all orientations, then odd ones, `[2 * ORIENTATIONS, 1, SIDE, SIDE]`, zero-mean
/// and of unit norm.
fn gabor_bank() -> Result<Tensor> {
    let (half, sigma) = ((SIDE / 2) as f64, 0.35 / FREQUENCY);
    let (x, y) = (|i: usize| (i % SIDE) as f64 - half, |i: usize| (i / SIDE) as f64 - half);
    let envelope: Vec<f64> = (0..SIDE * SIDE)
        .map(|i| (-(x(i).powi(2) + y(i).powi(2)) / (2.0 * sigma * sigma)).exp())
        .collect();
    let mut bank = Vec::new();
    for phase in [0.0, FRAC_PI_2] {
        for o in 0..ORIENTATIONS {
            let (sin, cos) = (PI * o as f64 / ORIENTATIONS as f64).sin_cos();
            let wave = |i: usize| (2.0 * PI * FREQUENCY * (x(i) * cos + y(i) * sin) + phase).cos();
            let offset = (0..SIDE * SIDE).map(|i| envelope[i] * wave(i)).sum::<f64>()
                / envelope.iter().sum::<f64>();
            let filter: Vec<f64> =
                (0..SIDE * SIDE).map(|i| envelope[i] * (wave(i) - offset)).collect();
            let norm = filter.iter().map(|v| v * v).sum::<f64>().sqrt();
            bank.extend(filter.iter().map(|v| (v / norm) as f32));
        }
    }
    Tensor::from_vec(bank, (2 * ORIENTATIONS, 1, SIDE, SIDE), &Device::Cpu)
}

/// Standardizes every column to mean 0 and variance 1; constant columns become 0.
fn standardize(rows: &mut [f32], columns: usize) {
    let count = (rows.len() / columns) as f64;
    let mut sums = vec![(0.0f64, 0.0f64); columns];
    for row in rows.chunks(columns) {
        for (sum, &v) in sums.iter_mut().zip(row) {
            sum.0 += f64::from(v);
        }
    }
    for row in rows.chunks(columns) {
        for (sum, &v) in sums.iter_mut().zip(row) {
            sum.1 += (f64::from(v) - sum.0 / count).powi(2);
        }
    }
    for row in rows.chunks_mut(columns) {
        for (sum, v) in sums.iter().zip(row) {
            let std = (sum.1 / count).sqrt();
            *v = if std > 1e-12 { ((f64::from(*v) - sum.0 / count) / std) as f32 } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn inverse_times_matrix_is_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let root: Vec<Vec<f64>> =
            (0..7).map(|_| (0..7).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let square = |i: usize, j: usize| dot(&root[i], &root[j]) + f64::from(u8::from(i == j));
        let matrix: Vec<Vec<f64>> =
            (0..7).map(|i| (0..7).map(|j| square(i, j)).collect()).collect();
        for (i, row) in inverse(matrix.clone()).iter().enumerate() {
            for j in 0..7 {
                assert!((dot(row, &matrix[j]) - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn finds_contrast_energy_and_luminance_and_nothing_in_noise() {
        let (images, height, width) = (600, 22, 40);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        // Textured patches of 4 x 4 pixels with individual contrast and luminance, under common
        // illumination.
        let mut pixels = vec![0f32; images * height * width];
        let mut responses = Vec::new();
        for image in pixels.chunks_mut(height * width) {
            let light: f32 = rng.random_range(-0.3..0.3);
            let patch = |rng: &mut ChaCha8Rng| {
                (0..60).map(|_| rng.random_range(0.0..1.0f32)).collect::<Vec<_>>()
            };
            let (contrast, luminance) = (patch(&mut rng), patch(&mut rng));
            for (i, pixel) in image.iter_mut().enumerate() {
                let cell = (i / width / 4) * 10 + i % width / 4;
                *pixel =
                    light + 0.3 * luminance[cell] + contrast[cell] * rng.random_range(-1.0..1.0f32);
            }
            responses.extend([2.0 * contrast[23], 2.0 * contrast[47], light + 2.0 * luminance[16]]);
            responses.push(rng.random_range(0.0..1.0f32));
        }
        let all = Tensor::from_vec(pixels, (images, 1, height, width), &Device::Cpu).unwrap();
        let maps = ContrastMaps::new([Ok(all)].into_iter()).unwrap();
        let starts = maps.starts(&(0..images).collect::<Vec<_>>(), &responses, 4).unwrap();
        for (start, cell) in starts.iter().zip([23, 47, 16]) {
            let (x, y) =
                ((start.position[0] + 1.0) / 2.0 * 40.0, (start.position[1] + 1.0) / 2.0 * 22.0);
            let (at_x, at_y) = ((cell % 10 * 4) as f32 + 2.0, (cell / 10 * 4) as f32 + 2.0);
            assert!(
                start.clear && (x - at_x).hypot(y - at_y) < 3.0,
                "cell {cell}: {x} {y}, {start:?}"
            );
        }
        assert!(!starts[3].clear);
        let mean = starts[..3].iter().map(|s| s.position[0]).sum::<f32>() / 3.0;
        assert!((starts[3].position[0] - mean).abs() < 1e-6);
    }
}
