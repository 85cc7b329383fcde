//! Pyramid and Gaussian readouts: one position per neuron, bilinear samples of all channels there,
//! a linear map and a bias.

use brainprior_kernels::{absolute_sum, moved, rescaled};
use candle_core::{Result, Tensor, Var};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use super::positions::Positions;
use super::start::Start;
use crate::config::{ReadoutConfig, ReadoutKind};
use crate::core::Pyramid;
use crate::variables::{normal, variable};

/// What moves the positions of a readout, if anything.
pub(crate) struct Moves {
    /// `[batch, 2]`
    pub(crate) shift: Option<Tensor>,
    /// Standard normal numbers, `[batch, neurons, 2]`, for the sampled positions of a Gaussian
    /// readout.
    pub(crate) draw: Option<Tensor>,
}

#[derive(Debug)]
pub(crate) struct PointReadout {
    pub(crate) positions: Positions,
    /// `[neurons, 2, 2]`: a square root of the covariance of sampled positions.
    pub(crate) spread: Option<Var>,
    /// For each level, `[neurons, channels]`.
    weights: Vec<Var>,
    /// `[neurons]`
    bias: Var,
}

impl PointReadout {
    pub(super) fn new(
        config: &ReadoutConfig,
        start: &Start,
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let (neurons, channels, levels) =
            (start.mean_rates.len(), start.features[0], config.scales());
        // Small enough that a neuron starts near its mean rate, whatever the features.
        let std = 0.3 / ((channels * levels) as f32).sqrt() / (channels as f32).sqrt();
        let weights = (0..levels)
            .map(|l| normal(vars, &format!("weights.level{l}"), &[neurons, channels], std, rng));
        let weights = weights.collect::<Result<_>>()?;
        let positions = Positions::new(config.positions, start, vars, rng)?;
        let spread = match config.kind {
            ReadoutKind::Gaussian => {
                let s = config.spread as f32;
                Some(variable(vars, "spread", &[neurons, 2, 2], || {
                    [s, 0.0, 0.0, s].repeat(neurons)
                })?)
            }
            _ => None,
        };
        let bias = || start.mean_rates.iter().map(|&rate| start.output.inverse(rate)).collect();
        let bias = variable(vars, "bias", &[neurons], bias)?;
        Ok(Self { positions, spread, weights, bias })
    }

    pub(crate) fn absolute_weights(&self) -> Result<Tensor> {
        let levels =
            self.weights.iter().map(|weights| absolute_sum(weights)).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&levels, 0)?.sum_all()
    }

    /// Positions `[batch, neurons, 2]`: sampled if a draw is given, and moved by the shifts.
    fn placed(&self, batch: usize, moves: &Moves) -> Result<Tensor> {
        let positions = self.positions.value()?;
        match (&self.spread, &moves.draw, &moves.shift) {
            (Some(spread), Some(draw), shift) => {
                let drawn = draw.unsqueeze(2)?.broadcast_mul(&spread.unsqueeze(0)?)?.sum(3)?;
                let positions = positions.unsqueeze(0)?.broadcast_add(&drawn)?;
                shift.as_ref().map_or(Ok(positions.clone()), |shift| {
                    positions.broadcast_add(&shift.unsqueeze(1)?)
                })
            }
            (.., Some(shift)) => moved(&positions, shift),
            (.., None) => positions
                .unsqueeze(0)?
                .broadcast_as((batch, self.bias.elem_count(), 2))?
                .contiguous(),
        }
    }
}

pub(super) fn read(readings: &[(&PointReadout, &Moves)], pyramid: &Pyramid) -> Result<Vec<Tensor>> {
    let batch = pyramid.levels[0].features.values()?.dim(0)?;
    let positions = readings.iter().map(|(readout, moves)| readout.placed(batch, moves));
    let positions = Tensor::cat(&positions.collect::<Result<Vec<_>>>()?, 1)?;
    let biases: Vec<&Tensor> =
        readings.iter().map(|(readout, _)| readout.bias.as_tensor()).collect();
    let mut values =
        Tensor::cat(&biases, 0)?.unsqueeze(0)?.broadcast_as((batch, positions.dim(1)?))?;
    for (l, level) in pyramid.levels.iter().enumerate() {
        let here = rescaled(&positions, level.from_image)?;
        let weights: Vec<&Tensor> =
            readings.iter().map(|(readout, _)| readout.weights[l].as_tensor()).collect();
        values = (values + level.features.point_readout(&here, &Tensor::cat(&weights, 0)?)?)?;
    }
    let mut first = 0;
    let mut parts = Vec::with_capacity(readings.len());
    for (readout, _) in readings {
        let neurons = readout.bias.elem_count();
        parts.push(values.narrow(1, first, neurons)?);
        first += neurons;
    }
    Ok(parts)
}
