//! Progress reports and results of a training.

use crate::{Evaluation, ResNet};

/// Results of one epoch. Losses, training accuracy and pair correlation are means over the epoch's
/// batches in training mode; validation uses the running statistics at the end of the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Mean of cross-entropy + alpha x similarity loss.
    pub loss: f64,
    /// Mean cross-entropy, in nats.
    pub cross_entropy: f64,
    /// Mean similarity loss, before alpha. `None` without a target.
    pub similarity_loss: Option<f64>,
    /// Accuracy on the training images.
    pub train_accuracy: f64,
    /// Mean cross-entropy on the validation images, in nats.
    pub validation_loss: f64,
    /// Accuracy on the validation images.
    pub validation_accuracy: f64,
    /// Pearson correlation of the network's similarities with the target's. `None` without a
    /// target, or if either is constant.
    pub pair_correlation: Option<f64>,
    /// Weight of each layer in the similarity.
    pub gamma: Vec<f64>,
}

/// A progress event.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainEvent {
    /// A step has finished.
    Step {
        /// Steps finished, over all epochs and earlier runs.
        done: usize,
        /// Steps of the whole training.
        total: usize,
        /// Cross-entropy + alpha x similarity loss.
        loss: f64,
        /// Similarity loss, before alpha. `None` without a target.
        similarity_loss: Option<f64>,
        /// Labeled images per second in this step.
        images_per_second: f64,
        /// Fraction of the step's time spent waiting for its batch.
        waited: f64,
    },
    /// An epoch has finished and is on disk.
    Epoch(EpochReport),
}

/// A finished training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The network after the epoch with the lowest validation loss.
    pub network: ResNet,
    /// That epoch, from 0.
    pub best_epoch: usize,
    /// The network after the last epoch.
    pub last: ResNet,
    /// Every epoch.
    pub epochs: Vec<EpochReport>,
}

/// Columns of [`EpochReport`] in a table, before those of gamma.
const COLUMNS: usize = 7;

impl EpochReport {
    /// Loss and accuracy on the validation images.
    pub fn validation(&self) -> Evaluation {
        Evaluation { loss: self.validation_loss, accuracy: self.validation_accuracy }
    }

    /// Number of columns for a network with `layers` layers.
    pub(crate) fn columns(layers: usize) -> usize {
        COLUMNS + layers
    }

    /// The report as a row of numbers without loss of precision; NaN for missing values.
    pub(crate) fn row(&self) -> Vec<f64> {
        let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let head: [f64; COLUMNS] = [
            self.loss,
            self.cross_entropy,
            known(self.similarity_loss),
            self.train_accuracy,
            self.validation_loss,
            self.validation_accuracy,
            known(self.pair_correlation),
        ];
        head.into_iter().chain(self.gamma.iter().copied()).collect()
    }

    /// Inverse of [`EpochReport::row`].
    pub(crate) fn from_row(epoch: usize, row: &[f64]) -> Self {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        Self {
            epoch,
            loss: row[0],
            cross_entropy: row[1],
            similarity_loss: known(row[2]),
            train_accuracy: row[3],
            validation_loss: row[4],
            validation_accuracy: row[5],
            pair_correlation: known(row[6]),
            gamma: row[COLUMNS..].to_vec(),
        }
    }
}

/// Sums over the steps of an epoch.
#[derive(Default)]
pub(crate) struct Tally {
    images: usize,
    correct: usize,
    loss: f64,
    cross_entropy: f64,
    steps: usize,
    similarity_loss: f64,
    pairs: usize,
    /// Sums of s, t, s s, t t, s t over pairs.
    moments: [f64; 5],
}

impl Tally {
    /// Adds a batch of images: mean losses and the number classified correctly.
    pub(crate) fn images(&mut self, count: usize, correct: usize, loss: f64, cross_entropy: f64) {
        self.images += count;
        self.correct += correct;
        self.loss += loss * count as f64;
        self.cross_entropy += cross_entropy * count as f64;
    }

    /// Adds the pairs of a step.
    pub(crate) fn pairs(&mut self, loss: f64, found: &[f32], target: &[f32]) {
        self.steps += 1;
        self.similarity_loss += loss;
        self.pairs += found.len();
        for (s, t) in found.iter().zip(target) {
            let (s, t) = (f64::from(*s), f64::from(*t));
            for (sum, value) in self.moments.iter_mut().zip([s, t, s * s, t * t, s * t]) {
                *sum += value;
            }
        }
    }

    fn correlation(&self) -> Option<f64> {
        let [s, t, ss, tt, st] = self.moments.map(|sum| sum / self.pairs as f64);
        let correlation = (st - s * t) / ((ss - s * s) * (tt - t * t)).sqrt();
        correlation.is_finite().then_some(correlation)
    }

    /// The report of the epoch.
    pub(crate) fn report(
        &self,
        epoch: usize,
        validation: Evaluation,
        gamma: Vec<f64>,
    ) -> EpochReport {
        let images = self.images as f64;
        EpochReport {
            epoch,
            loss: self.loss / images,
            cross_entropy: self.cross_entropy / images,
            similarity_loss: (self.steps > 0).then(|| self.similarity_loss / self.steps as f64),
            train_accuracy: self.correct as f64 / images,
            validation_loss: validation.loss,
            validation_accuracy: validation.accuracy,
            pair_correlation: self.correlation(),
            gamma,
        }
    }
}
