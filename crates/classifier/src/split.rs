//! The split of labeled images into training and validation images.

use crate::rng::Stream;
use crate::{Error, Result, TrainConfig};
use rand::seq::SliceRandom;

/// The labeled images of a training, split at random into training and validation images.
///
/// Every choice (of an epoch, a setting, or a target of labels) is made on one of these two parts,
/// never on the images on which results are reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    training: Vec<usize>,
    held_back: Vec<usize>,
}

impl Split {
    /// Splits `images` labeled images with these settings and this seed; at least one image is held
    /// out.
    /// # Errors
    /// Returns [`Error::Size`] if no training images would remain.
    pub fn new(images: usize, config: &TrainConfig, seed: u64) -> Result<Self> {
        let mut order: Vec<usize> = (0..images).collect();
        order.shuffle(&mut Stream::Validation.generator(seed, 0, 0));
        let held_back = ((images as f64 * config.validation_fraction).round() as usize).max(1);
        if held_back >= images {
            return Err(Error::Size {
                what: "labeled images",
                expected: format!("more than the {held_back} held out for validation"),
                found: images.to_string(),
            });
        }
        let mut training = order.split_off(held_back);
        training.sort_unstable();
        order.sort_unstable();
        Ok(Self { training, held_back: order })
    }

    /// Indices of the training images, ascending.
    pub fn training(&self) -> &[usize] {
        &self.training
    }

    /// Indices of the validation images, which choose the best epoch, ascending.
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
