//! Penalties on a core's kernels. All terms are relative to a layer's norm, because batch norm
//! makes the scale of a kernel irrelevant.

use brainprior_kernels::{Conv2dGeometry, conv2d};
use candle_core::{Result, Tensor};

use super::kernels::Kernels;
use crate::config::CoreConfig;

/// Smoothness of the first layer's kernels, group sparsity and L2 of the others'.
pub(super) fn penalty(layers: &[&Kernels], config: &CoreConfig) -> Result<Tensor> {
    let mut penalty = (roughness(layers[0].spatial())? * config.smoothness)?;
    for kernels in &layers[1..] {
        let (grouped, weights) = match kernels {
            Kernels::Full(weight) => {
                ((weight.sqr()?.sum((2, 3))? + 1e-12)?.sqrt()?.sum_all()?, vec![weight])
            }
            Kernels::Separable { planes, mixture } => {
                (mixture.abs()?.sum_all()?, vec![planes, mixture])
            }
        };
        let mixing = *weights.last().expect("one or two");
        if config.group_sparsity > 0.0 {
            penalty = (penalty
                + ((grouped / mixing.sqr()?.sum_all()?.sqrt()?)? * config.group_sparsity)?)?;
        }
        if config.l2 > 0.0 {
            for weight in weights {
                penalty = (penalty + (weight.sqr()?.mean_all()? * config.l2)?)?;
            }
        }
    }
    Ok(penalty)
}

/// Squared norm of the Laplacian of `kernels` `[outputs, planes, side, side]`, divided by their
/// squared norm.
fn roughness(kernels: &Tensor) -> Result<Tensor> {
    let laplacian =
        Tensor::new(&[[0f32, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]], kernels.device())?;
    let geometry = Conv2dGeometry { padding: 1, ..Default::default() };
    let (outputs, planes, rows, columns) = kernels.dims4()?;
    let kernels = &kernels.reshape((outputs * planes, 1, rows, columns))?;
    let rough = conv2d(kernels, &laplacian.reshape((1, 1, 3, 3))?, geometry)?;
    rough.sqr()?.sum_all()? / kernels.sqr()?.sum_all()?
}
