//! The joint loss: cross entropy of labelled images and agreement of similarities on pairs of stimuli.

use crate::network::{Pass, mixture};
use crate::pairs::PairBatch;
use crate::{ResNet, Result};
use brainprior_kernels::{BatchStatistics, arctanh_squared_loss, cross_entropy, pair_cosine};
use candle_core::Tensor;

/// Part of the old mean that stays at each update, as in the lineage (pixel-reg).
const DECAY: f64 = 0.9;

/// Running mean of each channel of each tap over the pairs, which features are centred by before they are compared.
/// Started at zero, updated from a batch before that batch is centred, and not differentiated (pixel-reg).
#[derive(Clone, Debug, Default)]
pub(crate) struct Centers(Vec<Tensor>);

impl Centers {
    pub(crate) fn from_tensors(tensors: Vec<Tensor>) -> Self {
        Self(tensors)
    }

    pub(crate) fn tensors(&self) -> &[Tensor] {
        &self.0
    }

    /// Takes in a batch: the centre of tap `tap` with features `[batch, channels, height, width]`.
    fn update(&mut self, tap: usize, features: &Tensor) -> Result<&Tensor> {
        let mean = features.detach().flatten_from(2)?.mean(2)?.mean(0)?.affine(1.0 - DECAY, 0.0)?;
        match self.0.get_mut(tap) {
            Some(center) => *center = (center.affine(DECAY, 0.0)? + mean)?,
            None => self.0.push(mean),
        }
        Ok(&self.0[tap])
    }
}

/// What a batch of labelled images gives.
pub(crate) struct Classification {
    /// Mean cross entropy, differentiable.
    pub(crate) loss: Tensor,
    pub(crate) logits: Tensor,
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// Passes labelled images (`[batch, channels, height, width]`, labels `[batch]`) in training mode.
pub(crate) fn classification(network: &ResNet, images: &Tensor, labels: &Tensor) -> Result<Classification> {
    let mut statistics = Vec::new();
    let logits = network.classify(images, &mut Pass::Training(&mut statistics))?;
    Ok(Classification { loss: cross_entropy(&logits, labels)?, logits, statistics })
}

/// What a batch of pairs gives.
pub(crate) struct PairSimilarity {
    /// `loss_scale` times the mean of (arctanh S - arctanh target)^2 (section 3.2 of the paper), differentiable.
    pub(crate) loss: Tensor,
    /// S of each pair, `[pairs]`: cosines of centred features at each tap, mixed by gamma.
    pub(crate) similarity: Tensor,
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// Passes both images of each pair through the same trunk in training mode, as one batch.
pub(crate) fn pair_similarity(
    network: &ResNet,
    pairs: &PairBatch,
    loss_scale: f64,
    centers: &mut Centers,
) -> Result<PairSimilarity> {
    let mut statistics = Vec::new();
    let taps = network.features(&pairs.images, &mut Pass::Training(&mut statistics))?;
    let cosines = taps
        .iter()
        .enumerate()
        .map(|(tap, features)| Ok(pair_cosine(features, centers.update(tap, features)?)?))
        .collect::<Result<Vec<Tensor>>>()?;
    let similarity = Tensor::stack(&cosines, 1)?.matmul(&mixture(network.gamma_logits())?)?.squeeze(1)?;
    let loss = arctanh_squared_loss(&similarity, &pairs.target, loss_scale)?;
    Ok(PairSimilarity { loss, similarity, statistics })
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
