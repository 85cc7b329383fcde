//! The pyramid readout: where each neuron looks, and how it weighs what it finds there.

use brainprior_kernels::point_readout;
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;

use crate::core::Pyramid;
use crate::parameters::{Parameters, Role};

/// One position per neuron, shared by all scales, bilinear samples of all channels, a linear map and a bias.
#[derive(Debug)]
pub(crate) struct PyramidReadout {
    positions: Var,
    weights: Var,
    bias: Var,
}

impl PyramidReadout {
    /// Registers the readout of one scan under `prefix`.
    ///
    /// `positions` are (x, y) in [-1, 1] per neuron, `mean_rates` the neurons' mean responses in training units: the
    /// bias starts where ELU(bias) + 1 is that mean.
    pub(crate) fn new(
        prefix: &str,
        channels: usize,
        levels: usize,
        positions: Vec<f32>,
        mean_rates: &[f32],
        parameters: &mut Parameters,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let neurons = mean_rates.len();
        let inverse = |&rate: &f32| if rate > 1.0 { rate - 1.0 } else { rate.max(1e-3).ln() };
        let std = 0.3 / ((channels * levels) as f32).sqrt() / (channels as f32).sqrt();
        Ok(Self {
            positions: parameters.add(&format!("{prefix}.readout.positions"), Role::Trained, positions, &[neurons, 2])?,
            weights: parameters.normal(&format!("{prefix}.readout.weights"), &[levels, neurons, channels], std, rng)?,
            bias: parameters.add(
                &format!("{prefix}.readout.bias"),
                Role::Trained,
                mean_rates.iter().map(inverse).collect(),
                &[neurons],
            )?,
        })
    }

    /// Value of each neuron for each image, `[batch, neurons]`, with all positions moved by `shift` `[batch, 2]`, or by
    /// nothing.
    pub(crate) fn forward(&self, pyramid: &Pyramid, shift: Option<&Tensor>) -> Result<Tensor> {
        let batch = pyramid.levels[0].features.dim(0)?;
        let neurons = self.bias.elem_count();
        let positions = self.positions.unsqueeze(0)?;
        let positions = match shift {
            Some(shift) => positions.broadcast_add(&shift.unsqueeze(1)?)?,
            None => positions.broadcast_as((batch, neurons, 2))?.contiguous()?,
        };
        let mut value: Option<Tensor> = None;
        for (l, level) in pyramid.levels.iter().enumerate() {
            let here = match level.extent {
                [1.0, 1.0] => positions.clone(),
                [x, y] => {
                    // (p + 1) e - 1: the blocks of this level reach beyond the border of the finest.
                    let scale = Tensor::new(&[x as f32, y as f32], &Device::Cpu)?;
                    positions.broadcast_mul(&scale)?.broadcast_add(&(scale - 1.0)?)?
                }
            };
            let part = point_readout(&level.features, &here, &self.weights.get(l)?)?;
            value = Some(match value {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        value.expect("a pyramid has at least one level").broadcast_add(&self.bias)
    }

    /// Sum over neurons of the absolute weights.
    pub(crate) fn absolute_weights(&self) -> Result<Tensor> {
        self.weights.abs()?.sum_all()
    }

    /// Keeps the positions on the image, where their gradient is not zero.
    pub(crate) fn clamp_positions(&self) -> Result<()> {
        self.positions.set(&self.positions.as_tensor().detach().clamp(-1f32, 1f32)?)
    }

    /// Positions, `[neurons, 2]`.
    pub(crate) fn positions(&self) -> Result<Vec<[f32; 2]>> {
        let rows: Vec<Vec<f32>> = self.positions.to_vec2()?;
        Ok(rows.iter().map(|row| [row[0], row[1]]).collect())
    }
}
