//! Attacks on trained networks, shared by the stage `robustness` and the command `attack`.

mod blocks;
mod command;
mod compared;
mod summary;

pub(crate) use blocks::{Blocks, Protocol, read_blocks, read_traced};
pub use command::{Attacked, NormName, Options, run};
pub(crate) use compared::{BySeed, compare, over_seeds};
pub(crate) use summary::{RESAMPLES, curve, images_right, masking, summarize};

use anyhow::{Result, ensure};
use brainprior_classifier::ResNet;
use brainprior_images::LabeledImages;
use brainprior_robustness::{Classifier, LabeledBatch, Norm};
use candle_core::{Device, Tensor};

/// The masking checks compare attacks at this multiple of the median smallest Linf perturbation.
pub(crate) const COMPARED_AT: f64 = 1.5;
/// Evaluation batch size.
pub(crate) const BATCH: usize = 100;

/// A trained network as a classifier under attack.
pub(crate) struct Attackable(pub(crate) ResNet);

impl Attackable {
    /// Checks that the network can classify these images.
    pub(crate) fn new(network: ResNet, images: &LabeledImages) -> Result<Self> {
        let (config, side) = (network.config(), network.config().smallest_side());
        ensure!(
            config.input_channels == images.channels(),
            "the checkpoint was trained on images of {} channels, but the set has {}: give the set on which it was trained",
            config.input_channels,
            images.channels()
        );
        ensure!(
            config.classes >= images.classes(),
            "the checkpoint has {} classes, but the set has {}: give the set on which it was trained",
            config.classes,
            images.classes()
        );
        ensure!(
            images.height() >= side && images.width() >= side,
            "the checkpoint halves images {} times and then averages 4 x 4 pixels, but the set's images are {} x {}: give the set on which it was trained",
            config.blocks.len() - 1,
            images.height(),
            images.width()
        );
        Ok(Self(network))
    }
}

impl Classifier for Attackable {
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.0.logits(images).map_err(candle_core::Error::wrap)
    }

    fn device(&self) -> Device {
        self.0.device().clone()
    }

    fn is_batch_invariant(&self) -> bool {
        self.0.is_batch_invariant()
    }
}

/// The first `count` images of a set.
pub(crate) fn labeled_batch(images: &LabeledImages, count: usize) -> Result<LabeledBatch> {
    let (pixels, labels) = images.take(count).to_unit();
    Ok(LabeledBatch::new(images.channels(), images.height(), images.width(), pixels, labels)?)
}

/// The name of a norm in file names and artifacts.
pub(crate) fn norm_name(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "linf",
        Norm::L2 => "l2",
        Norm::L1 => "l1",
        Norm::L0 => "l0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_classifier::NetConfig;

    #[test]
    fn a_checkpoint_of_other_images_is_refused() {
        let images = |channels: usize, side: usize, classes: usize| {
            let names = (0..classes).map(|class| class.to_string()).collect();
            LabeledImages::new(
                channels,
                side,
                side,
                vec![0; channels * side * side],
                vec![0],
                names,
            )
            .unwrap()
        };
        let config = NetConfig {
            blocks: vec![1; 4],
            base_channels: 2,
            input_channels: 1,
            classes: 10,
            blur: None,
        };
        let refused = |images: &LabeledImages| {
            Attackable::new(ResNet::new(&config, 1).unwrap(), images)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert_eq!(refused(&images(1, 32, 10)), "");
        assert!(
            refused(&images(3, 32, 10))
                .contains("trained on images of 1 channels, but the set has 3")
        );
        assert!(refused(&images(1, 24, 10)).contains("the set's images are 24 x 24"));
        assert!(refused(&images(1, 32, 100)).contains("has 10 classes, but the set has 100"));
    }
}
