//! Which labeled images train, and which are held back.

use crate::rng::Stream;
use crate::{Error, Result, TrainConfig};
use rand::seq::SliceRandom;

/// The labeled images of a training, divided at random.
///
/// Whatever is chosen, an epoch, a setting, a target of labels, is chosen on one part or the other of these: never on the images
/// that results are reported on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    training: Vec<usize>,
    held_back: Vec<usize>,
}

impl Split {
    /// How a training of `images` labeled images with these settings and this seed divides them: at least one is held back.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if none would be left to train on.
    pub fn new(images: usize, config: &TrainConfig, seed: u64) -> Result<Self> {
        let mut order: Vec<usize> = (0..images).collect();
        order.shuffle(&mut Stream::Validation.generator(seed, 0, 0));
        let held_back = ((images as f64 * config.validation_fraction).round() as usize).max(1);
        if held_back >= images {
            return Err(Error::Size {
                what: "labeled images",
                expected: format!("more than the {held_back} that are held back for validation"),
                found: images.to_string(),
            });
        }
        let mut training = order.split_off(held_back);
        training.sort_unstable();
        order.sort_unstable();
        Ok(Self { training, held_back: order })
    }

    /// Indices of the images that train, rising.
    pub fn training(&self) -> &[usize] {
        &self.training
    }

    /// Indices of the images that the best epoch is chosen by, rising.
    pub fn held_back(&self) -> &[usize] {
        &self.held_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_in_one_part() {
        let config = TrainConfig { validation_fraction: 0.25, ..TrainConfig::default() };
        let split = Split::new(40, &config, 3).unwrap();
        assert_eq!((split.training().len(), split.held_back().len()), (30, 10));
        let mut all = [split.training(), split.held_back()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>());
        assert_ne!(Split::new(40, &config, 4).unwrap(), split);
        assert!(Split::new(1, &config, 3).unwrap_err().to_string().contains("more than the 1"));
    }
}
