//! Settings of a network.

use super::ensure;
use crate::Result;
use serde::{Deserialize, Serialize};

/// Shape of a residual network: a 7x7 stem of stride 1 without max-pool, then stages of basic
/// blocks. Each stage doubles the channels and (except the first) halves the resolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// Blocks per stage: `[2, 2, 2, 2]` is ResNet18, `[3, 4, 6, 3]` ResNet34.
    pub blocks: Vec<usize>,
    /// Channels of the stem and the first stage; 64 in the paper.
    pub base_channels: usize,
    /// 1 (grayscale) or 3 (RGB).
    pub input_channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Standard deviation in pixels of a fixed Gaussian blur (9 x 9 pixels) in front of the
    /// network, with zero padding after centering; `None` for no blur. The first author of the
    /// paper found its effect close to that of neural data (Li et al., PLOS Computational Biology
    /// 2023).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur: Option<f64>,
}

impl Default for NetConfig {
    /// ResNet18 for grayscale images of ten classes, as in the paper.
    fn default() -> Self {
        Self { blocks: vec![2; 4], base_channels: 64, input_channels: 1, classes: 10, blur: None }
    }
}

impl NetConfig {
    /// Number of layers whose similarities are combined: the stem and each stage.
    pub fn layer_count(&self) -> usize {
        self.blocks.len() + 1
    }

    /// Number of convolutions between the images and each layer: 1, 5, 9, 13, 17 for ResNet18, as
    /// counted in the paper.
    pub fn layer_depths(&self) -> Vec<usize> {
        let mut depth = 1;
        let stages = self.blocks.iter().map(|blocks| {
            depth += 2 * blocks;
            depth
        });
        std::iter::once(1).chain(stages).collect()
    }

    /// Smallest side, in pixels, of labeled images for which 4 x 4 pixels remain for the average
    /// pool before the head: each stage but the first halves the image, rounding up. 25 for the
    /// four stages of a ResNet18.
    pub fn smallest_side(&self) -> usize {
        3 * (1 << self.blocks.len().saturating_sub(1)) + 1
    }

    pub(crate) fn check(&self) -> Result<()> {
        let stages =
            (1..=8).contains(&self.blocks.len()) && self.blocks.iter().all(|blocks| *blocks > 0);
        ensure("blocks", "1 to 8 stages of at least one block", stages, || {
            format!("{:?}", self.blocks)
        })?;
        ensure("base_channels", "at least 1", self.base_channels > 0, || {
            self.base_channels.to_string()
        })?;
        ensure("input_channels", "1 or 3", matches!(self.input_channels, 1 | 3), || {
            self.input_channels.to_string()
        })?;
        ensure("classes", "2 to 256", (2..=256).contains(&self.classes), || {
            self.classes.to_string()
        })?;
        let narrow = self.blur.is_none_or(|sigma| (0.2..=4.5).contains(&sigma));
        ensure("blur", "0.2 to 4.5 pixels, as fits into 9 x 9 pixels", narrow, || {
            format!("{:?}", self.blur)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compared_layers_are_those_of_the_paper() {
        assert_eq!(NetConfig::default().layer_depths(), [1, 5, 9, 13, 17]);
        let resnet34 = NetConfig { blocks: vec![3, 4, 6, 3], ..NetConfig::default() };
        assert_eq!(resnet34.layer_depths(), [1, 7, 15, 27, 33]);
    }
}
