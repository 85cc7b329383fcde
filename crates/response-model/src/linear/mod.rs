//! Closed-form readouts of fixed features: the best predictors when there are few images.
//!
//! With a few hundred images, a convolutional model learns its core badly. Here the core is fixed:
//! a filter bank with moduli of its moduli and, optionally, layers of a network trained on another
//! task (Cadena et al. 2019). Each neuron reads the features by nearly linear kernel ridge
//! regression, in windows of several positions and widths. The leave-one-out error, in closed form
//! (Allen 1974), determines the shrinkage in each window and the weights of the windows; the
//! validation tier decides whether each neuron uses its own error or the mean over neurons. Neither
//! the test tier nor any ground truth is used.

mod bank;
mod eigen;
mod features;
mod ridge;

use std::ops::Range;

use brainprior_images::{ImageId, StimulusSet};
use brainprior_recording::{Fitting, ResponseKind, Responses, Scan, Tier};
use candle_core::Tensor;
use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

pub use features::Features;

use crate::config::{LossConfig, LossKind};
use crate::error::{Error, Result};
use crate::normalization::ScanNormalization;
use crate::predict::correlations;
use features::{GRID, Scale};
use ridge::{Chosen, Errors, Solved};

/// Largest number of landmarks. With more images, the features of all images are projected on those
/// of this many.
const MOST_LANDMARKS: usize = 512;
/// Standard deviation of the small windows, and the offset of their centers from the middle, in
/// half image widths.
const WINDOW: f64 = 0.6;
/// Weight of each layer of a network in the inner product; the weights of the filter bank sum to
/// 5.1.
const NETWORK: f32 = 3.0;
/// Relative excess error at which a window's weight falls to 1/e of the best one's; the best of
/// these values is chosen.
const TOLERANCES: [f64; 4] = [0.003, 0.01, 0.03, 0.1];
/// How much of a neuron's shrinkage is determined by the mean over all neurons.
const COMMON: [f64; 3] = [0.0, 0.5, 1.0];
/// Largest number of images for leave-one-out decisions.
const MOST_LEFT_OUT: usize = 2048;
/// Neurons whose predictions in all windows are kept in memory together.
const NEURONS: usize = 256;
/// How fast the kernel decays with the squared distance relative to its mean; the leave-one-out
/// error is nearly flat from 0.2 to 0.8.
const NARROWNESS: f32 = 0.35;
/// Cells whose inner products are kept in memory together.
const CELLS: usize = 4;

impl Features {
    /// Computes the features of `stimuli` from the filter bank.
    ///
    /// # Errors
    /// Returns an error of candle if a tensor operation fails.
    pub fn of(stimuli: &StimulusSet) -> Result<Self> {
        bank::of(stimuli)
    }

    /// Adds layers of a trained network. Each item of `batches` holds the maps `[batch, channels,
    /// rows, columns]` of every layer for the next images, in the order of the stimuli; only their
    /// averages on a grid are kept.
    ///
    /// # Errors
    /// Returns the first error of `batches`, or [`Error::Maps`] if they do not cover all images.
    pub fn with_network<E: From<Error>>(
        mut self,
        batches: impl IntoIterator<Item = std::result::Result<Vec<Tensor>, E>>,
    ) -> std::result::Result<Self, E> {
        let first = self.groups();
        for layers in batches {
            for (layer, maps) in layers?.iter().enumerate() {
                self.add(first + layer, std::slice::from_ref(maps), NETWORK, Scale::Linear)?;
            }
        }
        self.check(first)?;
        Ok(self)
    }
}

/// Predictions of linear readouts of fixed features for one scan, at the mean behavior and gaze.
#[derive(Debug, Clone)]
pub struct LinearModel {
    name: String,
    features: Features,
    /// `[images of the features, neurons]`, in the scan's units.
    predicted: Array2<f32>,
    v_a: Vec<Option<f32>>,
}

impl LinearModel {
    /// Fits the trials `training` of `scan` and predicts all images of `features`.
    ///
    /// # Errors
    /// Returns [`Error::TooFewTrials`], [`Error::NothingVaries`], or [`Error::NoFeatures`] if an
    /// image of the scan has no features.
    #[expect(
        clippy::missing_panics_doc,
        reason = "rows are as many as images, and there are tolerances"
    )]
    pub fn fit(scan: &Scan, training: &[usize], features: &Features, seed: u64) -> Result<Self> {
        // Regression targets may be negative.
        let by = ScanNormalization::of(
            scan,
            training,
            &LossConfig { kind: LossKind::Gaussian, ..LossConfig::default() },
        )?;
        let row_of = |trial: usize| {
            let id = scan.stimuli().ids()[scan.trial_image()[trial]];
            features.row(id).ok_or_else(|| Error::NoFeatures { scan: scan.name().to_owned(), id })
        };
        let mut shown = training
            .iter()
            .map(|trial| Ok((row_of(*trial)?, *trial)))
            .collect::<Result<Vec<_>>>()?;
        shown.sort_unstable();
        let (mut rows, mut weights, mut targets): (Vec<usize>, Vec<f64>, Vec<f64>) =
            Default::default();
        for of_image in shown.chunk_by(|a, b| a.0 == b.0) {
            rows.push(of_image[0].0);
            weights.push(of_image.len() as f64);
            targets.extend((0..by.varies.len()).map(|n| {
                let sum: f64 = of_image
                    .iter()
                    .map(|(_, trial)| f64::from(scan.responses()[(*trial, n)]))
                    .sum();
                sum / of_image.len() as f64 / f64::from(by.response_std[n])
            }));
        }
        let mut targets = Array2::from_shape_vec((rows.len(), by.varies.len()), targets)
            .expect("a row for each image");
        let level = targets.mean_axis(Axis(0)).expect("at least one image");
        targets -= &level;
        let regression = Regression::new(features, rows, weights, targets.mapv(|v| v as f32), seed);
        let validation = scan.trials_in(Tier::Validation);
        let shown = validation.iter().map(|trial| row_of(*trial)).collect::<Result<Vec<_>>>()?;
        let error = |of: &Readouts| -> f64 {
            let predicted = regression.predictions(of, &shown);
            let squares =
                predicted.rows().into_iter().zip(&validation).map(|(row, trial)| -> f64 {
                    let neurons = row
                        .iter()
                        .zip(&level)
                        .zip(scan.responses().row(*trial))
                        .zip(&by.response_std);
                    neurons
                        .map(|(((found, level), response), std)| {
                            (f64::from(*found) + level - f64::from(response / std)).powi(2)
                        })
                        .sum()
                });
            squares.sum()
        };
        let readouts = regression.readouts();
        let judged = readouts.into_iter().map(|of| (error(&of), of));
        let (_, chosen) = judged.min_by(|a, b| a.0.total_cmp(&b.0)).expect("some readouts");
        let predicted = regression.all(&chosen).mapv(f64::from) + &level;
        let in_units = ArrayView1::from(&by.response_std).mapv(f64::from);
        let predicted = (predicted * in_units).mapv(|v| v as f32);
        let mut model = Self {
            name: scan.name().to_owned(),
            features: features.clone(),
            predicted,
            v_a: Vec::new(),
        };
        model.v_a =
            correlations(scan, &validation, &model.predict_trials(scan, &validation)?, &by.varies);
        Ok(model)
    }

    /// Correlation of predicted and measured responses in trials of the validation tier, like
    /// [`crate::ResponseModel::v_a`].
    pub fn v_a(&self) -> &[Option<f32>] {
        &self.v_a
    }

    /// Predictions of images in the scan's units. Training images are predicted by a regression
    /// without them, so all predictions are marked as cross-fitted.
    ///
    /// # Errors
    /// Returns [`Error::NoFeatures`] if an image has no features.
    pub fn predict(&self, images: &[ImageId]) -> Result<Responses> {
        let values = self.rows(images.iter().copied())?;
        Ok(Responses::new(
            &self.name,
            ResponseKind::Predicted(Fitting::CrossFitted),
            images.to_vec(),
            values,
        )?)
    }

    /// Predictions `[trials, neurons]` of the images in trials of `recorded`, the scan of the fit.
    ///
    /// # Errors
    /// See [`LinearModel::predict`].
    pub fn predict_trials(&self, recorded: &Scan, trials: &[usize]) -> Result<Array2<f32>> {
        self.rows(
            trials.iter().map(|trial| recorded.stimuli().ids()[recorded.trial_image()[*trial]]),
        )
    }

    fn rows(&self, images: impl Iterator<Item = ImageId>) -> Result<Array2<f32>> {
        let missing = |id| Error::NoFeatures { scan: self.name.clone(), id };
        let rows = images
            .map(|id| self.features.row(id).ok_or_else(|| missing(id)))
            .collect::<Result<Vec<_>>>()?;
        Ok(self.predicted.select(Axis(0), &rows))
    }
}

/// The regressions of one scan in all windows.
struct Regression {
    solved: Vec<Solved>,
    /// Rows of the training images, their numbers of trials, and their centered responses `[images,
    /// neurons]`.
    rows: Vec<usize>,
    weights: Vec<f64>,
    targets: Array2<f32>,
    /// Indices into `rows` that are left out for decisions.
    left_out: Vec<usize>,
    images: usize,
}

/// For each window, the shrinkage and the weight for each neuron.
struct Readouts {
    chosen: Vec<Chosen>,
    shares: Vec<Vec<f64>>,
}

impl Regression {
    fn new(
        features: &Features,
        rows: Vec<usize>,
        weights: Vec<f64>,
        targets: Array2<f32>,
        seed: u64,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut landmarks = rows.clone();
        landmarks.shuffle(&mut rng);
        landmarks.truncate(MOST_LANDMARKS);
        landmarks.sort_unstable();
        let mut left_out: Vec<usize> = (0..rows.len()).collect();
        left_out.shuffle(&mut rng);
        left_out.truncate(MOST_LEFT_OUT);
        left_out.sort_unstable();
        let kernels = kernels(features, &rows, &landmarks).into_par_iter();
        let solved = kernels.map(|kernel| Solved::new(kernel.view(), &landmarks, &rows)).collect();
        Self { solved, rows, weights, targets, left_out, images: features.len() }
    }

    /// Ranges of neurons that are kept in memory together.
    fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let neurons = self.targets.ncols();
        (0..neurons).step_by(NEURONS).map(move |first| first..(first + NEURONS).min(neurons))
    }

    /// Readouts for each value of [`COMMON`], with the window weights of smallest leave-one-out
    /// error.
    fn readouts(&self) -> Vec<Readouts> {
        let mut errors: Vec<Errors> = Vec::new();
        for part in self.parts() {
            let targets = self.targets.slice(s![.., part]);
            let found = self.solved.par_iter().map(|solved| {
                solved.errors(targets, &solved.products(targets), &self.left_out, &self.weights)
            });
            let found: Vec<Errors> = found.collect();
            match errors.is_empty() {
                true => errors = found,
                false => {
                    errors.iter_mut().zip(&found).for_each(|(errors, found)| errors.join(found))
                }
            }
        }
        let readouts = |common: &f64| {
            let chosen: Vec<Chosen> = errors.iter().map(|errors| errors.choose(*common)).collect();
            let tried: Vec<Vec<Vec<f64>>> =
                TOLERANCES.iter().map(|tolerance| shares(&chosen, *tolerance)).collect();
            let mut error = [0.0; TOLERANCES.len()];
            for part in self.parts() {
                let found = self.left_out(&chosen, part.clone(), &self.left_out);
                let targets =
                    self.targets.slice(s![.., part.clone()]).select(Axis(0), &self.left_out);
                for (error, shares) in error.iter_mut().zip(&tried) {
                    let mixed = mixed(&found, shares, part.clone());
                    for ((found, target), image) in
                        mixed.rows().into_iter().zip(targets.rows()).zip(&self.left_out)
                    {
                        let squares: f64 =
                            found.iter().zip(target).map(|(f, t)| f64::from(f - t).powi(2)).sum();
                        *error += self.weights[*image] * squares;
                    }
                }
            }
            let tried = tried.into_iter().zip(error).min_by(|a, b| a.1.total_cmp(&b.1));
            Readouts { chosen, shares: tried.expect("some tolerances").0 }
        };
        COMMON.iter().map(readouts).collect()
    }

    /// Leave-one-out predictions in each window for the neurons `part`; `images` are indices among
    /// the training images.
    fn left_out(
        &self,
        chosen: &[Chosen],
        part: Range<usize>,
        images: &[usize],
    ) -> Vec<Array2<f32>> {
        let targets = self.targets.slice(s![.., part.clone()]);
        let of_window = |(solved, chosen): (&Solved, &Chosen)| {
            solved.left_out(
                targets,
                &solved.products(targets),
                &chosen.shrinkage[part.clone()],
                images,
            )
        };
        self.solved.par_iter().zip(chosen).map(of_window).collect()
    }

    /// Predictions `[rows, neurons]` for the images of `rows`, relative to the training mean.
    fn predictions(&self, of: &Readouts, rows: &[usize]) -> Array2<f32> {
        let mut all = Array2::zeros((rows.len(), self.targets.ncols()));
        for part in self.parts() {
            let targets = self.targets.slice(s![.., part.clone()]);
            let of_window = |(solved, chosen): (&Solved, &Chosen)| {
                solved.predictions(&solved.products(targets), &chosen.shrinkage[part.clone()], rows)
            };
            let found: Vec<Array2<f32>> =
                self.solved.par_iter().zip(&of.chosen).map(of_window).collect();
            all.slice_mut(s![.., part.clone()]).assign(&mixed(&found, &of.shares, part));
        }
        all
    }

    /// Predictions of all images; training images are predicted by the regression without them.
    fn all(&self, of: &Readouts) -> Array2<f32> {
        let mut all = self.predictions(of, &(0..self.images).collect::<Vec<_>>());
        let every: Vec<usize> = (0..self.rows.len()).collect();
        for part in self.parts() {
            let left_out =
                mixed(&self.left_out(&of.chosen, part.clone(), &every), &of.shares, part.clone());
            for (row, own) in self.rows.iter().zip(left_out.rows()) {
                all.slice_mut(s![*row, part.clone()]).assign(&own);
            }
        }
        all
    }
}

/// Kernels `[images, landmarks]` for each window, the whole image and nine positions:
/// exp(-[`NARROWNESS`] d²), where d² is the squared distance between the features of two images
/// divided by its mean. The features are few enough to be read linearly; a kernel that decays lets
/// a readout differ slightly between kinds of images.
fn kernels(features: &Features, training: &[usize], landmarks: &[usize]) -> Vec<Array2<f32>> {
    let squares = |of: &Array2<f32>| of.map_axis(Axis(1), |row| row.dot(&row));
    let products = |of: Array2<f32>| (of.dot(&of.select(Axis(0), landmarks).t()), squares(&of));
    let windows = windows();
    let mut kernels = vec![products(features.image_wide(training)); windows.len()];
    let floors = features.floors(training);
    let cells: Vec<usize> = (0..GRID * GRID).collect();
    for cells in cells.chunks(CELLS) {
        let found: Vec<_> = cells
            .par_iter()
            .map(|cell| products(features.cell(*cell, training, &floors)))
            .collect();
        kernels.par_iter_mut().zip(&windows).for_each(|((kernel, lengths), window)| {
            for (cell, (products, squares)) in cells.iter().zip(&found) {
                kernel.scaled_add(window[*cell], products);
                lengths.scaled_add(window[*cell], squares);
            }
        });
    }
    kernels
        .into_par_iter()
        .map(|(kernel, lengths)| likeness(kernel, &lengths, training, landmarks))
        .collect()
}

/// Kernels from inner products and squared lengths.
fn likeness(
    mut kernel: Array2<f32>,
    lengths: &Array1<f32>,
    training: &[usize],
    landmarks: &[usize],
) -> Array2<f32> {
    for (mut row, length) in kernel.rows_mut().into_iter().zip(lengths) {
        row.iter_mut()
            .zip(landmarks)
            .for_each(|(v, landmark)| *v = (length + lengths[*landmark] - 2.0 * *v).max(0.0));
    }
    let sum: f64 = training
        .iter()
        .map(|row| kernel.row(*row).iter().map(|v| f64::from(*v)).sum::<f64>())
        .sum();
    let mean = (sum / (training.len() * landmarks.len()) as f64).max(f64::MIN_POSITIVE) as f32;
    kernel.mapv_inplace(|square| (-NARROWNESS * square / mean).exp());
    kernel
}

/// Weights of the cells in each window, summing to 1.
fn windows() -> Vec<Vec<f32>> {
    let position = |i: usize| (2.0 * i as f64 + 1.0) / GRID as f64 - 1.0;
    let mut windows = vec![vec![1.0 / (GRID * GRID) as f32; GRID * GRID]];
    for center in 0..9 {
        let (x, y) = (f64::from(center % 3 - 1) * WINDOW, f64::from(center / 3 - 1) * WINDOW);
        let square =
            |cell: usize| (position(cell % GRID) - x).powi(2) + (position(cell / GRID) - y).powi(2);
        let bump: Vec<f64> =
            (0..GRID * GRID).map(|cell| (-square(cell) / (2.0 * WINDOW * WINDOW)).exp()).collect();
        let sum: f64 = bump.iter().sum();
        windows.push(bump.iter().map(|share| (share / sum) as f32).collect());
    }
    windows
}

/// For each window, the weight for each neuron: smaller the more its error exceeds that of the
/// neuron's best window.
fn shares(chosen: &[Chosen], tolerance: f64) -> Vec<Vec<f64>> {
    let neurons = chosen[0].error.len();
    let mut shares = vec![vec![0.0; neurons]; chosen.len()];
    for n in 0..neurons {
        let best = chosen
            .iter()
            .map(|of| of.error[n])
            .fold(f64::INFINITY, f64::min)
            .max(f64::MIN_POSITIVE);
        let weights: Vec<f64> =
            chosen.iter().map(|of| (-(of.error[n] / best - 1.0) / tolerance).exp()).collect();
        let sum: f64 = weights.iter().sum();
        shares.iter_mut().zip(weights).for_each(|(shares, weight)| shares[n] = weight / sum);
    }
    shares
}

/// The sum over windows of the predictions for the neurons `part` times their weights.
fn mixed(of_windows: &[Array2<f32>], shares: &[Vec<f64>], part: Range<usize>) -> Array2<f32> {
    let mut sum = Array2::zeros(of_windows[0].raw_dim());
    for (of, shares) in of_windows.iter().zip(shares) {
        let shares: Array1<f32> = shares[part.clone()].iter().map(|share| *share as f32).collect();
        sum += &(of * &shares);
    }
    sum
}
