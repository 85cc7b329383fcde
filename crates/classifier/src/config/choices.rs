//! Settings of a training with few possible values.

use serde::{Deserialize, Serialize};

/// Which batches update the running statistics of the batch norms, which evaluation uses. In
/// training, each batch of labeled images or of pairs is always normalized by its own statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunningStatistics {
    /// Labeled images only, so that a classifier is evaluated with the statistics of the images on
    /// which it was trained, whatever the stimuli of its target look like.
    #[default]
    Separate,
    /// Both batches in turn, as in the public code pixel-reg, where stimuli pass the same batch
    /// norms.
    Shared,
}

/// How the similarities of the layers are combined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixture {
    /// gamma is the softmax of learned logits initialized to zero (section 3.2 of the paper).
    #[default]
    Learned,
    /// gamma is fixed at these weights, one per layer in use, normalized to a sum of 1.
    Fixed(Vec<f64>),
}

/// How features are centered before they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Centering {
    /// By a running mean per channel with decay 0.9, updated from the pair batch before use, as in
    /// pixel-reg.
    #[default]
    Running,
    /// By the mean per channel over the pair batch.
    Batch,
}

/// Noise or adversarial training on the labeled images, in addition to crops and flips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RobustTraining {
    /// Neither.
    #[default]
    None,
    /// Adds a copy of each image with Gaussian noise, whose standard deviation is drawn uniformly
    /// for each image up to `std`, clipped to [0, 1]. The copies of 64 images at 32 x 32 cost as
    /// much as 16 pairs at 36 x 64.
    Noise {
        /// Largest standard deviation, for images in [0, 1].
        std: f64,
    },
    /// Adversarial training: replaces each image by the result of projected gradient ascent on the
    /// loss from a random start (Madry et al., ICLR 2018), with the batch norms in training mode.
    Adversarial {
        /// Largest change of a pixel, for images in [0, 1].
        epsilon: f64,
        /// Number of ascent steps, each of length 2.5 epsilon / steps.
        steps: usize,
    },
}
