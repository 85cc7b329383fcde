//! The joint loss: cross entropy of labeled images and agreement of similarities on pairs of stimuli.

use crate::network::{Pass, mixture};
use crate::pairs::PairBatch;
use crate::{Centering, ResNet, Result, TrainConfig};
use brainprior_kernels::{BatchStatistics, FeatureMap, arctanh_squared_loss, cross_entropy};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Part of the old mean that stays at each update, as in the lineage (pixel-reg).
const DECAY: f64 = 0.9;

/// Running mean of each channel of each layer over the pairs, which features are centered by before they are compared.
/// Started at zero, updated from a batch before that batch is centered, and not differentiated (pixel-reg). Empty where
/// each batch is centered by its own mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct Centers(BTreeMap<usize, Tensor>);

impl Centers {
    pub(crate) fn from_tensors(tensors: BTreeMap<usize, Tensor>) -> Self {
        Self(tensors)
    }

    /// The same on a device.
    pub(crate) fn to_device(&self, device: &Device) -> Result<Self> {
        let moved = |(layer, center): (&usize, &Tensor)| Ok((*layer, center.to_device(device)?));
        self.0.iter().map(moved).collect::<Result<_>>().map(Self)
    }

    /// By layer.
    pub(crate) fn tensors(&self) -> &BTreeMap<usize, Tensor> {
        &self.0
    }

    /// Takes in a batch: the center of layer `layer` with features `[batch, channels, height, width]`.
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

/// What a batch of labeled images gives.
pub(crate) struct Classification {
    /// Mean cross entropy, differentiable.
    pub(crate) loss: Tensor,
    pub(crate) logits: Tensor,
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// Passes labeled images (`[batch, channels, height, width]`, labels `[batch]`) in training mode.
pub(crate) fn classification(network: &ResNet, images: &Tensor, labels: &Tensor) -> Result<Classification> {
    let mut statistics = Vec::new();
    let logits = network.classify(images, &mut Pass::Training(&mut statistics))?;
    Ok(Classification { loss: cross_entropy(&logits, labels)?, logits, statistics })
}

/// What a batch of pairs gives.
pub(crate) struct PairSimilarity {
    /// `loss_scale` times the mean of (arctanh S - arctanh target)^2 (section 3.2 of the paper), differentiable.
    pub(crate) loss: Tensor,
    /// S of each pair, `[pairs]`: cosines of centered features at each layer, mixed by gamma.
    pub(crate) similarity: Tensor,
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// Passes both images of each pair through the same trunk in training mode, as one batch, as far as the last layer in use.
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
    let logits =
        in_use.iter().map(|layer| network.gamma_logits().narrow(0, *layer, 1)).collect::<candle_core::Result<Vec<_>>>()?;
    let shares = mixture(&Tensor::cat(&logits, 0)?)?;
    let similarity = Tensor::stack(&cosines, 1)?.matmul(&shares)?.squeeze(1)?;
    let loss = arctanh_squared_loss(&similarity, &pairs.target.to_device(network.device())?, config.loss_scale)?;
    Ok(PairSimilarity { loss, similarity, statistics })
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
