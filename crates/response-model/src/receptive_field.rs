//! Where each neuron looks, by reverse correlation: the start of the readout's positions.
//!
//! A position learns from the gradient of the features around it, and so only finds a receptive field that it already
//! overlaps. So we start at it: responses are correlated over the training images with maps of local contrast energy
//! (quadrature pairs of Gabor filters, four orientations, two frequencies) and of local luminance, on a grid of about
//! 4 x 4 pixels. Each map of correlations loses its mean over the image, since contrast is correlated across an image;
//! the positive parts of the energy maps and both signs of the luminance map (ON and OFF) are squared, summed, smoothed
//! and searched for their peak, which is refined to the centre of mass around it.

use brainprior_kernels::{Conv2dGeometry, area_pool, conv2d};
use candle_core::{Device, Result, Tensor};

const ORIENTATIONS: usize = 4;
/// Cycles per pixel.
const FREQUENCIES: [f64; 2] = [0.07, 0.15];
const SIDE: usize = 17;
/// Maps of a grid: the energies, then luminance.
const MAPS: usize = ORIENTATIONS * FREQUENCIES.len() + 1;
/// Sum of squares that counts as a peak, in units of its expectation for a neuron that ignores the images.
const CLEAR: f64 = 6.0;

/// Energy and luminance of images on a coarse grid.
pub(crate) struct ContrastMaps {
    rows: usize,
    columns: usize,
    height: usize,
    width: usize,
    /// `[images, MAPS * rows * columns]`
    values: Vec<f32>,
}

/// Start of one neuron's position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Start {
    /// (x, y) in [-1, 1].
    pub(crate) position: [f32; 2],
    /// False: no clear peak; the position is the mean of the clear ones, or the image's centre.
    pub(crate) clear: bool,
}

impl ContrastMaps {
    /// Maps of normalised images `[images, 1, height, width]`, given in batches.
    pub(crate) fn new(batches: impl Iterator<Item = crate::Result<Tensor>>) -> crate::Result<Self> {
        let bank = gabor_bank()?;
        let mut maps = Self { rows: 0, columns: 0, height: 0, width: 0, values: Vec::new() };
        for images in batches {
            let images = images?;
            (_, _, maps.height, maps.width) = images.dims4()?;
            let responses = conv2d(&images, &bank, Conv2dGeometry { stride: 2, padding: SIDE / 2, ..Default::default() })?;
            let pairs = MAPS - 1;
            let even = responses.narrow(1, 0, pairs)?.sqr()?;
            let energy = (even + responses.narrow(1, pairs, pairs)?.sqr()?)?.sqrt()?;
            let energy = area_pool(&energy.contiguous()?, 2)?;
            let luminance = area_pool(&area_pool(&images, 2)?, 2)?;
            let all = Tensor::cat(&[energy, luminance], 1)?;
            (_, _, maps.rows, maps.columns) = all.dims4()?;
            maps.values.extend(all.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(maps)
    }

    /// Starts of the neurons whose `responses` `[trials, neurons]` belong to the images `images` of these maps.
    pub(crate) fn starts(&self, images: &[usize], responses: &[f32], neurons: usize) -> Result<Vec<Start>> {
        let cells = self.rows * self.columns;
        let features = MAPS * cells;
        let trials = images.len();
        let mut x = Vec::with_capacity(trials * features);
        images.iter().for_each(|&i| x.extend_from_slice(&self.values[i * features..(i + 1) * features]));
        standardise(&mut x, features);
        let mut r = responses.to_vec();
        standardise(&mut r, neurons);
        let x = Tensor::from_vec(x, (trials, features), &Device::Cpu)?;
        let r = Tensor::from_vec(r, (trials, neurons), &Device::Cpu)?;
        let correlations = (r.t()?.matmul(&x)? / trials as f64)?.to_vec2::<f32>()?;
        let chance = MAPS as f64 / 2.0 / trials as f64;
        let mut starts: Vec<Start> = correlations.iter().map(|row| self.peak(row, CLEAR * chance)).collect();
        let clear: Vec<[f32; 2]> = starts.iter().filter(|s| s.clear).map(|s| s.position).collect();
        let mean = |k: usize| clear.iter().map(|p| p[k]).sum::<f32>() / clear.len().max(1) as f32;
        let center = [mean(0), mean(1)];
        starts.iter_mut().filter(|s| !s.clear).for_each(|s| s.position = center);
        Ok(starts)
    }

    fn peak(&self, correlations: &[f32], least: f64) -> Start {
        let (rows, columns) = (self.rows, self.columns);
        let cells = rows * columns;
        let mut score = vec![0.0; cells];
        for (m, map) in correlations.chunks(cells).enumerate() {
            let mean = map.iter().map(|&c| f64::from(c)).sum::<f64>() / cells as f64;
            for (score, &c) in score.iter_mut().zip(map) {
                let above = f64::from(c) - mean;
                *score += if m == MAPS - 1 { above * above } else { above.max(0.0).powi(2) };
            }
        }
        let around = |r: usize, c: usize| {
            let (rs, cs) = (r.saturating_sub(1)..(r + 2).min(rows), c.saturating_sub(1)..(c + 2).min(columns));
            rs.flat_map(move |r| cs.clone().map(move |c| (r, c)))
        };
        let smoothed = |r: usize, c: usize| {
            let weight = |(i, j): (usize, usize)| [1.0, 0.5, 0.25][r.abs_diff(i) + c.abs_diff(j)];
            let (sum, norm) = around(r, c)
                .fold((0.0, 0.0), |(sum, norm), at| (sum + weight(at) * score[at.0 * columns + at.1], norm + weight(at)));
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
        // A cell is 4 pixels, also where the last one is cut by the border.
        let unit = |cell: f64, pixels: usize| ((cell + 0.5) * 8.0 / pixels as f64 - 1.0).clamp(-1.0, 1.0) as f32;
        let position = [unit(c as f64 + x / mass, self.width), unit(r as f64 + y / mass, self.height)];
        Start { position, clear: value > least }
    }
}

/// Even filters of all orientations and frequencies, then the odd ones, `[2 * (MAPS - 1), 1, SIDE, SIDE]`, of unit norm.
fn gabor_bank() -> Result<Tensor> {
    let mut bank = Vec::new();
    for phase in [0.0, std::f64::consts::FRAC_PI_2] {
        for frequency in FREQUENCIES {
            for o in 0..ORIENTATIONS {
                let theta = std::f64::consts::PI * o as f64 / ORIENTATIONS as f64;
                let sigma = 0.35 / frequency;
                let half = (SIDE / 2) as f64;
                let at = |i: usize| (i % SIDE) as f64 - half;
                let row = |i: usize| (i / SIDE) as f64 - half;
                let envelope = |i: usize| (-(at(i).powi(2) + row(i).powi(2)) / (2.0 * sigma * sigma)).exp();
                let wave = |i: usize| {
                    let u = at(i) * theta.cos() + row(i) * theta.sin();
                    (2.0 * std::f64::consts::PI * frequency * u + phase).cos()
                };
                let total: f64 = (0..SIDE * SIDE).map(envelope).sum();
                let offset = (0..SIDE * SIDE).map(|i| envelope(i) * wave(i)).sum::<f64>() / total;
                let filter: Vec<f64> = (0..SIDE * SIDE).map(|i| envelope(i) * (wave(i) - offset)).collect();
                let norm = filter.iter().map(|v| v * v).sum::<f64>().sqrt();
                bank.extend(filter.iter().map(|v| (v / norm) as f32));
            }
        }
    }
    Tensor::from_vec(bank, (2 * (MAPS - 1), 1, SIDE, SIDE), &Device::Cpu)
}

/// Gives every column mean 0 and variance 1; constant columns become 0.
fn standardise(rows: &mut [f32], columns: usize) {
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
