//! Independent random streams, determined by the seed and a position in the training.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The purpose of random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Initial values of a parameter, by its index.
    Initial,
    /// The choice of validation images.
    Validation,
    /// Order of the training images, by epoch.
    Order,
    /// Crop and flip of one image, by epoch and image.
    Augmentation,
    /// Keys of the pair order, by pass over the pairs.
    Pairs,
    /// Noise on one image, by epoch and image.
    Noise,
    /// Start of the attack on a batch, by epoch and step.
    Attack,
}

impl Stream {
    /// The generator for `epoch` (below 2^24) and `index`.
    pub(crate) fn generator(self, seed: u64, epoch: usize, index: usize) -> ChaCha8Rng {
        debug_assert!(epoch < 1 << 24 && index <= u32::MAX as usize);
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream((self as u64) << 56 | (epoch as u64) << 32 | index as u64);
        generator
    }
}
