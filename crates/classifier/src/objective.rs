//! The joint loss: cross-entropy of labeled images and agreement of similarities on pairs of
//! stimuli.

use crate::network::{Pass, mixture};
use crate::pairs::PairBatch;
use crate::{Centering, ResNet, Result, TrainConfig};
use brainprior_kernels::{BatchStatistics, FeatureMap, arctanh_squared_loss, cross_entropy};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Weight of the old mean at each update, as in pixel-reg.
const DECAY: f64 = 0.9;

/// Running mean of each channel and layer over the pairs, used to center features before they are
/// compared. It starts at zero, is updated from a batch before that batch is centered, and is not
/// differentiated (pixel-reg). Empty if each batch is centered by its own mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct Centers(BTreeMap<usize, Tensor>);

impl Centers {
    pub(crate) fn from_tensors(tensors: BTreeMap<usize, Tensor>) -> Self {
        Self(tensors)
    }

    /// The same on another device.
    pub(crate) fn to_device(&self, device: &Device) -> Result<Self> {
        let moved = |(layer, center): (&usize, &Tensor)| Ok((*layer, center.to_device(device)?));
        self.0.iter().map(moved).collect::<Result<_>>().map(Self)
    }

    /// The centers by layer.
    pub(crate) fn tensors(&self) -> &BTreeMap<usize, Tensor> {
        &self.0
    }

    /// Updates and returns the center of layer `layer` for features `[batch, channels, height,
    /// width]`.
    fn update(&mut self, layer: usize, features: &FeatureMap) -> Result<Tensor> {
        let mean = features.channel_means()?.affine(1.0 - DECAY, 0.0)?;
        let center = match self.0.get(&layer) {
            Some(center) => (center.affine(DECAY, 0.0)? + mean)?,
            None => mean,
        };
        self.0.insert(layer, center.clone());
        Ok(center)
    }
}

/// Results of a batch of labeled images.
pub(crate) struct Classification {
    /// Mean cross-entropy, differentiable.
    pub(crate) loss: Tensor,
    pub(crate) logits: Tensor,
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// Runs labeled images (`[batch, channels, height, width]`, labels `[batch]`) in training mode.
pub(crate) fn classification(
    network: &ResNet,
    images: &Tensor,
    labels: &Tensor,
) -> Result<Classification> {
    let mut statistics = Vec::new();
    let logits = network.classify(images, &mut Pass::Training(&mut statistics))?;
    Ok(Classification { loss: cross_entropy(&logits, labels)?, logits, statistics })
}

/// Results of a batch of pairs.
pub(crate) struct PairSimilarity {
    /// `loss_scale` times the mean of (arctanh S - arctanh target)^2 (section 3.2 of the paper),
    /// differentiable.
    pub(crate) loss: Tensor,
    /// S of each pair, `[pairs]`: cosines of centered features at each layer, combined by gamma.
    pub(crate) similarity: Tensor,
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// Runs both images of each pair through the network as one batch in training mode, up to the last
/// layer in use.
pub(crate) fn pair_similarity(
    network: &ResNet,
    pairs: &PairBatch,
    config: &TrainConfig,
    centers: &mut Centers,
) -> Result<PairSimilarity> {
    let mut statistics = Vec::new();
    let in_use = config.layers_in_use();
    let last = in_use.iter().copied().max().expect("a training with pairs uses at least one layer");
    let images = pairs.images.to_device(network.device())?;
    let layers = network.features_up_to(&images, last, &mut Pass::Training(&mut statistics))?;
    let cosines = in_use
        .iter()
        .map(|layer| {
            let features = &layers[*layer];
            Ok(match config.centering {
                Centering::Running => features.pair_cosine(&centers.update(*layer, features)?)?,
                Centering::Batch => features.pair_cosine(&features.channel_means()?)?,
            })
        })
        .collect::<Result<Vec<Tensor>>>()?;
    let logits = in_use
        .iter()
        .map(|layer| network.gamma_logits().narrow(0, *layer, 1))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let shares = mixture(&Tensor::cat(&logits, 0)?)?;
    let similarity = Tensor::stack(&cosines, 1)?.matmul(&shares)?.squeeze(1)?;
    let loss = arctanh_squared_loss(
        &similarity,
        &pairs.target.to_device(network.device())?,
        config.loss_scale,
    )?;
    Ok(PairSimilarity { loss, similarity, statistics })
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
