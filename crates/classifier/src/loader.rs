//! Batches of labelled images in a random order, varied at random; the same for any number of threads.

use crate::streams::{Purpose, stream};
use crate::{Error, Result};
use brainprior_images::LabelledImages;
use brainprior_images::augmentation::random_crop_flip;
use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// Pixels added on each side before an image is cropped to its own size.
const PADDING: usize = 4;

/// Which images train and which validate.
pub(crate) struct Loader<'a> {
    data: &'a LabelledImages,
    train: Vec<usize>,
    validation: Vec<usize>,
    batch: usize,
    augmentation: bool,
    seed: u64,
}

/// A batch.
pub(crate) struct LabelledBatch {
    /// `[batch, channels, height, width]` in [0, 1].
    pub(crate) images: Tensor,
    pub(crate) labels: Vec<u32>,
}

impl<'a> Loader<'a> {
    /// Holds back a random part of the images, at least one, for validation.
    pub(crate) fn new(data: &'a LabelledImages, fraction: f64, batch: usize, augmentation: bool, seed: u64) -> Result<Self> {
        let mut order: Vec<usize> = (0..data.len()).collect();
        order.shuffle(&mut stream(seed, Purpose::Validation, 0, 0));
        let held_back = ((data.len() as f64 * fraction).round() as usize).max(1);
        if held_back >= data.len() {
            return Err(Error::Size {
                what: "labelled images",
                expected: format!("more than the {held_back} that are held back for validation"),
                found: data.len().to_string(),
            });
        }
        let mut train = order.split_off(held_back);
        train.sort_unstable();
        order.sort_unstable();
        Ok(Self { data, train, validation: order, batch, augmentation, seed })
    }

    /// Batches of an epoch; the last may be smaller.
    pub(crate) fn steps(&self) -> usize {
        self.train.len().div_ceil(self.batch)
    }

    /// Indices of the images that validate.
    pub(crate) fn validation(&self) -> &[usize] {
        &self.validation
    }

    /// The images of an epoch in the order in which they come.
    pub(crate) fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order = self.train.clone();
        order.shuffle(&mut stream(self.seed, Purpose::Order, epoch, 0));
        order
    }

    /// The images at `indices`, each varied by its own random stream.
    pub(crate) fn batch(&self, epoch: usize, indices: &[usize]) -> Result<LabelledBatch> {
        let (channels, height, width) = (self.data.channels(), self.data.height(), self.data.width());
        let area = channels * height * width;
        let mut pixels = vec![0.0f32; indices.len() * area];
        pixels.par_chunks_exact_mut(area).zip(indices).try_for_each_init(
            || vec![0.0f32; area],
            |plain, (out, index)| -> Result<()> {
                if !self.augmentation {
                    self.data.pixels_unit(*index, out);
                    return Ok(());
                }
                self.data.pixels_unit(*index, plain);
                let mut generator = stream(self.seed, Purpose::Augmentation, epoch, *index);
                Ok(random_crop_flip(plain, height, width, PADDING, &mut generator, out)?)
            },
        )?;
        let images = Tensor::from_vec(pixels, (indices.len(), channels, height, width), &Device::Cpu)?;
        Ok(LabelledBatch { images, labels: indices.iter().map(|index| u32::from(self.data.label(*index))).collect() })
    }
}
