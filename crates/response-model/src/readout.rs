//! The pyramid readout: where each neuron looks, and how it weighs what it finds there.

use brainprior_kernels::point_readout;
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;

use crate::core::Pyramid;
use crate::parameters::{Parameters, Role};

/// One position per neuron, shared by all scales, bilinear samples of all channels, a linear map and a bias.
#[derive(Debug)]
pub(crate) struct PyramidReadout {
    /// `[neurons, 2]`
    positions: Var,
    /// For each level `[neurons, channels]`.
    weights: Vec<Var>,
    /// `[neurons]`
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
        let bias = mean_rates.iter().map(inverse).collect();
        // Small enough that a neuron starts near its mean rate, whatever the features.
        let std = 0.3 / ((channels * levels) as f32).sqrt() / (channels as f32).sqrt();
        let weights = (0..levels).map(|l| {
            let name = format!("{prefix}.readout.weights.level{l}");
            parameters.normal(&name, &[neurons, channels], std, rng)
        });
        Ok(Self {
            weights: weights.collect::<Result<_>>()?,
            positions: parameters.add(&format!("{prefix}.readout.positions"), Role::Trained, positions, &[neurons, 2])?,
            bias: parameters.add(&format!("{prefix}.readout.bias"), Role::Trained, bias, &[neurons])?,
        })
    }

    /// Positions `[batch, neurons, 2]`, all moved by `shift` `[batch, 2]`, or by nothing.
    fn shifted(&self, batch: usize, shift: Option<&Tensor>) -> Result<Tensor> {
        let positions = self.positions.unsqueeze(0)?;
        match shift {
            Some(shift) => positions.broadcast_add(&shift.unsqueeze(1)?),
            None => positions.broadcast_as((batch, self.bias.elem_count(), 2))?.contiguous(),
        }
    }

    /// Sum over neurons of the absolute weights.
    pub(crate) fn absolute_weights(&self) -> Result<Tensor> {
        let levels = self.weights.iter().map(|weights| weights.abs()?.sum_all()).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&levels, 0)?.sum_all()
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

/// Values of the neurons of several readouts for each image, `[batch, neurons]` for each readout, all positions of a
/// readout moved by its shifts `[batch, 2]`, if any.
///
/// All neurons are read in one pass over each level: the features are large, the positions are not.
pub(crate) fn read(readouts: &[(&PyramidReadout, Option<Tensor>)], pyramid: &Pyramid) -> Result<Vec<Tensor>> {
    let batch = pyramid.levels[0].features.dim(0)?;
    let positions = readouts.iter().map(|(readout, shift)| readout.shifted(batch, shift.as_ref()));
    let positions = Tensor::cat(&positions.collect::<Result<Vec<_>>>()?, 1)?;
    let biases: Vec<&Tensor> = readouts.iter().map(|(readout, _)| readout.bias.as_tensor()).collect();
    let mut values = Tensor::cat(&biases, 0)?.unsqueeze(0)?.broadcast_as((batch, positions.dim(1)?))?;
    for (l, level) in pyramid.levels.iter().enumerate() {
        let here = match level.extent {
            [1.0, 1.0] => positions.clone(),
            [x, y] => {
                // (p + 1) e - 1: the blocks of this level reach beyond the border of the finest.
                let scale = Tensor::new(&[x as f32, y as f32], &Device::Cpu)?;
                positions.broadcast_mul(&scale)?.broadcast_add(&(scale - 1.0)?)?
            }
        };
        let weights: Vec<&Tensor> = readouts.iter().map(|(readout, _)| readout.weights[l].as_tensor()).collect();
        values = (values + point_readout(&level.features, &here, &Tensor::cat(&weights, 0)?)?)?;
    }
    let mut first = 0;
    let mut parts = Vec::with_capacity(readouts.len());
    for (readout, _) in readouts {
        let neurons = readout.bias.elem_count();
        parts.push(values.narrow(1, first, neurons)?);
        first += neurons;
    }
    Ok(parts)
}
