//! Readouts of fixed features, in closed form: what predicts best where there are few images.
//!
//! A convolutional model of a few hundred images learns its core badly. Here the core is not learned: it is a bank of filters with
//! the moduli of their moduli, and, where it is given, layers of a network that was trained on something else (Cadena et al. 2019).
//! Each neuron reads them by kernel ridge regression, nearly linearly, under windows of several places and widths; how much it is shrunk under each, and how the
//! windows are mixed, is decided by the error on images that are left out one by one, in closed form (Allen 1974). Neither the
//! test tier nor any truth takes part.

mod bank;
mod eigen;
mod features;
mod ridge;

use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::{Fitting, ResponseKind, Responses, Scan, Tier};
use candle_core::Tensor;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

pub use features::Features;

use crate::config::{LossConfig, LossKind};
use crate::error::{Error, Result};
use crate::normalization::ScanNormalization;
use crate::predict::correlations;
use features::GRID;
use ridge::{Chosen, Solved};

/// Most images that others are compared with: beyond, the features of all images are taken along those of so many.
const MOST_LANDMARKS: usize = 512;
/// Standard deviation of the small windows, half image widths, and how far their centers lie from the middle.
const WINDOW: f64 = 0.6;
/// Weight of a given network's features in the inner product; the bank's weigh 5.1.
const NETWORK: f32 = 3.0;
/// How much worse than the best, as a share of its error, a window may be to count 1/e as much; the best of these is taken.
const TOLERANCES: [f64; 4] = [0.003, 0.01, 0.03, 0.1];
/// How fast likeness falls off with the squared distance over its mean: the error on images left out is nearly flat from 0.2 to 0.8.
const NARROWNESS: f32 = 0.35;
/// Cells whose inner products are in memory together.
const CELLS: usize = 4;

impl Features {
    /// Features of `stimuli`: the bank of filters, and `networks`' feature maps `[images, channels, rows, columns]` of the same images.
    ///
    /// # Errors
    /// What candle refuses.
    pub fn of(stimuli: &StimulusSet, networks: &[Tensor]) -> Result<Self> {
        let mut features = bank::of(stimuli)?;
        for maps in networks {
            features.add_maps(maps, NETWORK)?;
        }
        Ok(features)
    }
}

/// What linear readouts of fixed features predict for one scan, at the mean behaviour and gaze.
#[derive(Debug, Clone)]
pub struct LinearModel {
    name: String,
    features: Features,
    /// `[images of the features, neurons]`, in the scan's units.
    predicted: Array2<f32>,
    v_a: Vec<Option<f32>>,
}

impl LinearModel {
    /// Fits the trials `training` of `scan`, and predicts all images of `features`.
    ///
    /// # Errors
    /// [`Error::TooFewTrials`], [`Error::NothingVaries`] as of a fit; [`Error::NoFeatures`] where an image of the scan has none.
    #[expect(clippy::missing_panics_doc, reason = "rows are as many as images, and there are tolerances")]
    pub fn fit(scan: &Scan, training: &[usize], features: &Features, seed: u64) -> Result<Self> {
        // What is regressed has no sign to obey.
        let by = ScanNormalization::of(scan, training, &LossConfig { kind: LossKind::Gaussian, ..LossConfig::default() })?;
        let row_of = |trial: usize| {
            let id = scan.stimuli().ids()[scan.trial_image()[trial]];
            features.row(id).ok_or_else(|| Error::NoFeatures { scan: scan.name().to_owned(), id })
        };
        let mut shown = training.iter().map(|trial| Ok((row_of(*trial)?, *trial))).collect::<Result<Vec<_>>>()?;
        shown.sort_unstable();
        let (mut rows, mut weights, mut targets): (Vec<usize>, Vec<f64>, Vec<f64>) = Default::default();
        for of_image in shown.chunk_by(|a, b| a.0 == b.0) {
            rows.push(of_image[0].0);
            weights.push(of_image.len() as f64);
            targets.extend((0..by.varies.len()).map(|n| {
                let sum: f64 = of_image.iter().map(|(_, trial)| f64::from(scan.responses()[(*trial, n)])).sum();
                sum / of_image.len() as f64 / f64::from(by.response_std[n])
            }));
        }
        let mut targets = Array2::from_shape_vec((rows.len(), by.varies.len()), targets).expect("a row for each image");
        let level = targets.mean_axis(Axis(0)).expect("at least one image");
        targets -= &level;
        let mut landmarks = rows.clone();
        landmarks.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        landmarks.truncate(MOST_LANDMARKS);
        landmarks.sort_unstable();

        let solved: Vec<Solved> = kernels(features, &rows, &landmarks)
            .into_par_iter()
            .map(|kernel| Solved::new(kernel.view(), &landmarks, &rows, &targets))
            .collect();
        let chosen: Vec<Chosen> = solved.par_iter().map(|solved| solved.choose(&targets, &weights)).collect();
        let left_out: Vec<Array2<f64>> =
            solved.par_iter().zip(&chosen).map(|(solved, chosen)| solved.left_out(&targets, &chosen.shrinkage)).collect();
        let (_, shares, left_out) = TOLERANCES
            .iter()
            .map(|tolerance| {
                let shares = shares(&chosen, *tolerance);
                let mixed = mixed(&left_out, &shares);
                let error: f64 = (&mixed - &targets)
                    .rows()
                    .into_iter()
                    .zip(&weights)
                    .map(|(row, weight)| weight * row.iter().map(|e| e * e).sum::<f64>())
                    .sum();
                (error, shares, mixed)
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .expect("some tolerances");
        let all: Vec<Array2<f64>> =
            solved.par_iter().zip(&chosen).map(|(solved, chosen)| solved.predictions(&chosen.shrinkage)).collect();
        let mut predicted = mixed(&all, &shares);
        for (row, own) in rows.iter().zip(left_out.rows()) {
            predicted.row_mut(*row).assign(&own);
        }
        predicted += &level;
        let in_units = ArrayView1::from(&by.response_std).mapv(f64::from);
        let predicted = (predicted * in_units).mapv(|v| v as f32);
        let mut model = Self { name: scan.name().to_owned(), features: features.clone(), predicted, v_a: Vec::new() };
        let validation = scan.trials_in(Tier::Validation);
        model.v_a = correlations(scan, &validation, &model.predict_trials(scan, &validation)?, &by.varies);
        Ok(model)
    }

    /// Correlation of predicted and measured responses over the trials of the validation tier, as [`crate::ResponseModel::v_a`].
    pub fn v_a(&self) -> &[Option<f32>] {
        &self.v_a
    }

    /// Predictions of images, in the scan's units. Those of images that trained come from a regression without them, so that all
    /// are marked as cross-fitted.
    ///
    /// # Errors
    /// [`Error::NoFeatures`] where an image is none of those that the features were made of.
    pub fn predict(&self, images: &[ImageId]) -> Result<Responses> {
        let values = self.rows(images.iter().copied())?;
        Ok(Responses::new(&self.name, ResponseKind::Predicted(Fitting::CrossFitted), images.to_vec(), values)?)
    }

    /// Predictions `[trials, neurons]` of the images of trials of `recorded`, the scan of the fit.
    ///
    /// # Errors
    /// As [`LinearModel::predict`].
    pub fn predict_trials(&self, recorded: &Scan, trials: &[usize]) -> Result<Array2<f32>> {
        self.rows(trials.iter().map(|trial| recorded.stimuli().ids()[recorded.trial_image()[*trial]]))
    }

    fn rows(&self, images: impl Iterator<Item = ImageId>) -> Result<Array2<f32>> {
        let missing = |id| Error::NoFeatures { scan: self.name.clone(), id };
        let rows = images.map(|id| self.features.row(id).ok_or_else(|| missing(id))).collect::<Result<Vec<_>>>()?;
        Ok(self.predicted.select(Axis(0), &rows))
    }
}

/// Likenesses `[images, landmarks]` under each window, the whole image and nine places: exp(-[`NARROWNESS`] d²), d² being the squared
/// distance of two images' features over its mean. Features are few enough directions to be read linearly; that likeness falls off
/// lets a readout differ a little between kinds of images.
fn kernels(features: &Features, training: &[usize], landmarks: &[usize]) -> Vec<Array2<f32>> {
    let squares = |of: &Array2<f32>| of.map_axis(Axis(1), |row| row.dot(&row));
    let products = |of: Array2<f32>| (of.dot(&of.select(Axis(0), landmarks).t()), squares(&of));
    let windows = windows();
    let mut kernels = vec![products(features.image_wide(training)); windows.len()];
    let floors = features.floors(training);
    let cells: Vec<usize> = (0..GRID * GRID).collect();
    for cells in cells.chunks(CELLS) {
        let found: Vec<_> = cells.par_iter().map(|cell| products(features.cell(*cell, training, &floors))).collect();
        kernels.par_iter_mut().zip(&windows).for_each(|((kernel, lengths), window)| {
            for (cell, (products, squares)) in cells.iter().zip(&found) {
                kernel.scaled_add(window[*cell], products);
                lengths.scaled_add(window[*cell], squares);
            }
        });
    }
    kernels.into_par_iter().map(|(kernel, lengths)| likeness(kernel, &lengths, training, landmarks)).collect()
}

/// From inner products and squared lengths.
fn likeness(mut kernel: Array2<f32>, lengths: &Array1<f32>, training: &[usize], landmarks: &[usize]) -> Array2<f32> {
    for (mut row, length) in kernel.rows_mut().into_iter().zip(lengths) {
        row.iter_mut().zip(landmarks).for_each(|(v, landmark)| *v = (length + lengths[*landmark] - 2.0 * *v).max(0.0));
    }
    let sum: f64 = training.iter().map(|row| kernel.row(*row).iter().map(|v| f64::from(*v)).sum::<f64>()).sum();
    let mean = (sum / (training.len() * landmarks.len()) as f64).max(f64::MIN_POSITIVE) as f32;
    kernel.mapv_inplace(|square| (-NARROWNESS * square / mean).exp());
    kernel
}

/// Shares of the cells in each window, of sum 1.
fn windows() -> Vec<Vec<f32>> {
    let position = |i: usize| (2.0 * i as f64 + 1.0) / GRID as f64 - 1.0;
    let mut windows = vec![vec![1.0 / (GRID * GRID) as f32; GRID * GRID]];
    for center in 0..9 {
        let (x, y) = (f64::from(center % 3 - 1) * WINDOW, f64::from(center / 3 - 1) * WINDOW);
        let square = |cell: usize| (position(cell % GRID) - x).powi(2) + (position(cell / GRID) - y).powi(2);
        let bump: Vec<f64> = (0..GRID * GRID).map(|cell| (-square(cell) / (2.0 * WINDOW * WINDOW)).exp()).collect();
        let sum: f64 = bump.iter().sum();
        windows.push(bump.iter().map(|share| (share / sum) as f32).collect());
    }
    windows
}

/// For each window the share of each neuron, less the more its error exceeds that of the neuron's best window.
fn shares(chosen: &[Chosen], tolerance: f64) -> Vec<Vec<f64>> {
    let neurons = chosen[0].error.len();
    let mut shares = vec![vec![0.0; neurons]; chosen.len()];
    for n in 0..neurons {
        let best = chosen.iter().map(|of| of.error[n]).fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE);
        let weights: Vec<f64> = chosen.iter().map(|of| (-(of.error[n] / best - 1.0) / tolerance).exp()).collect();
        let sum: f64 = weights.iter().sum();
        shares.iter_mut().zip(weights).for_each(|(shares, weight)| shares[n] = weight / sum);
    }
    shares
}

/// The sum over windows of predictions times shares.
fn mixed(of_windows: &[Array2<f64>], shares: &[Vec<f64>]) -> Array2<f64> {
    let mut sum = Array2::zeros(of_windows[0].raw_dim());
    for (of, shares) in of_windows.iter().zip(shares) {
        sum += &(of * &ArrayView1::from(shares));
    }
    sum
}
