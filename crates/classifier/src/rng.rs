//! Independent random streams, found again from the seed and a place in the training alone.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// First values of a parameter, by its position.
    Initial,
    /// Which images validate.
    Validation,
    /// Order of the training images, by epoch.
    Order,
    /// Crop and flip of one image, by epoch and image.
    Augmentation,
    /// Keys of the order of the pairs, by pass over the pairs.
    Pairs,
    /// Noise on one image, by epoch and image.
    Noise,
    /// Where the attack on a batch starts, by epoch and step.
    Attack,
}

impl Stream {
    /// Its generator in `epoch` (below 2^24) at `index`.
    pub(crate) fn generator(self, seed: u64, epoch: usize, index: usize) -> ChaCha8Rng {
        debug_assert!(epoch < 1 << 24 && index <= u32::MAX as usize);
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream((self as u64) << 56 | (epoch as u64) << 32 | index as u64);
        generator
    }
}
