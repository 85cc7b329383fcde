//! Batches of labeled images with random order and augmentation, determined by the seed and the
//! step alone.

use crate::rng::Stream;
use crate::{Result, RobustTraining, Split, TrainConfig};
use brainprior_images::LabeledImages;
use brainprior_images::augmentation::random_crop_flip;
use candle_core::{Device, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Normal};

/// Padding on each side before the random crop.
const PADDING: usize = 4;

/// Training and validation images.
pub(crate) struct Loader<'a> {
    data: &'a LabeledImages,
    split: Split,
    batch: usize,
    augmentation: bool,
    /// Largest standard deviation of the noise on the copies; `None` for no copies.
    noise: Option<f64>,
    seed: u64,
}

/// A batch of labeled images.
pub(crate) struct LabeledBatch {
    /// `[batch, channels, height, width]` in [0, 1].
    pub(crate) images: Tensor,
    pub(crate) labels: Vec<u32>,
    /// Indices of the images in the data set.
    pub(crate) indices: Vec<usize>,
}

impl<'a> Loader<'a> {
    /// Holds out validation images as defined by [`Split`].
    pub(crate) fn new(data: &'a LabeledImages, config: &TrainConfig, seed: u64) -> Result<Self> {
        let noise = match config.robust_training {
            RobustTraining::Noise { std } => Some(std),
            RobustTraining::None | RobustTraining::Adversarial { .. } => None,
        };
        let (batch, augmentation) = (config.batch, config.augmentation);
        Ok(Self {
            data,
            split: Split::new(data.len(), config, seed)?,
            batch,
            augmentation,
            noise,
            seed,
        })
    }

    /// Batches per epoch; the last one may be smaller.
    pub(crate) fn steps(&self) -> usize {
        self.split.training().len().div_ceil(self.batch)
    }

    /// Indices of the validation images.
    pub(crate) fn validation(&self) -> &[usize] {
        self.split.held_back()
    }

    /// The order of the images in an epoch.
    pub(crate) fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order = self.split.training().to_vec();
        order.shuffle(&mut Stream::Order.generator(self.seed, epoch, 0));
        order
    }

    /// The images at `indices`, each augmented with its own random stream, followed by their noisy
    /// copies if requested.
    pub(crate) fn batch(&self, epoch: usize, indices: &[usize]) -> Result<LabeledBatch> {
        let (channels, height, width) =
            (self.data.channels(), self.data.height(), self.data.width());
        let area = channels * height * width;
        let copies = 1 + usize::from(self.noise.is_some());
        let mut pixels = vec![0.0f32; copies * indices.len() * area];
        let (clean, noisy) = pixels.split_at_mut(indices.len() * area);
        let mut plain = vec![0.0f32; area];
        for (out, index) in clean.chunks_exact_mut(area).zip(indices) {
            if !self.augmentation {
                self.data.pixels_unit(*index, out);
                continue;
            }
            self.data.pixels_unit(*index, &mut plain);
            let mut generator = Stream::Augmentation.generator(self.seed, epoch, *index);
            random_crop_flip(&plain, height, width, PADDING, &mut generator, out)?;
        }
        if let Some(largest) = self.noise {
            for ((image, copy), index) in
                clean.chunks_exact(area).zip(noisy.chunks_exact_mut(area)).zip(indices)
            {
                let mut generator = Stream::Noise.generator(self.seed, epoch, *index);
                let std = generator.random_range(0.0..largest) as f32;
                let normal = Normal::new(0.0f32, std).expect("a standard deviation of at least 0");
                copy.iter_mut().zip(image).for_each(|(to, from)| {
                    *to = (from + normal.sample(&mut generator)).clamp(0.0, 1.0)
                });
            }
        }
        let images = Tensor::from_vec(
            pixels,
            (copies * indices.len(), channels, height, width),
            &Device::Cpu,
        )?;
        let labels = indices.iter().map(|index| u32::from(self.data.label(*index)));
        let labels = labels.clone().chain(labels).take(copies * indices.len()).collect();
        Ok(LabeledBatch { images, labels, indices: indices.to_vec() })
    }
}
