//! Adversarial training: each step trains on images perturbed to maximize the current network's
//! loss.

use crate::network::Pass;
use crate::{ResNet, Result};
use brainprior_kernels::{backward, cross_entropy};
use candle_core::{Tensor, Var};
use rand::Rng;

/// Total length of all steps in units of epsilon: enough to cross the ball (Madry et al., ICLR
/// 2018).
const REACH: f64 = 2.5;

/// Projected gradient ascent on the cross-entropy within `epsilon` of each pixel, from a random
/// start; images stay in [0, 1]. The network is in training mode, as in the step that follows, and
/// is not changed.
pub(crate) fn attacked(
    network: &ResNet,
    images: &Tensor,
    labels: &Tensor,
    epsilon: f64,
    steps: usize,
    generator: &mut impl Rng,
) -> Result<Tensor> {
    let network = network.detached();
    let size = epsilon as f32;
    let start: Vec<f32> =
        (0..images.elem_count()).map(|_| generator.random_range(-size..=size)).collect();
    let start = Tensor::from_vec(start, images.dims(), images.device())?;
    let (lowest, highest) =
        (images.affine(1.0, -epsilon)?.maximum(0.0)?, images.affine(1.0, epsilon)?.minimum(1.0)?);
    let within = |moved: Tensor| -> Result<Tensor> {
        Ok(moved.maximum(&lowest)?.minimum(&highest)?.detach())
    };
    let mut moved = within((images + start)?)?;
    for _ in 0..steps {
        let variable = Var::from_tensor(&moved)?;
        let logits =
            network.classify(variable.as_tensor(), &mut Pass::Training(&mut Vec::new()))?;
        let gradients = backward(&cross_entropy(&logits, labels)?)?;
        let Some(gradient) = gradients.get(&variable) else { break };
        moved = within((&moved + gradient.sign()?.affine(REACH * epsilon / steps as f64, 0.0)?)?)?;
    }
    Ok(moved)
}
