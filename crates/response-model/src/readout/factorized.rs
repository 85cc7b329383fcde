//! The factorized readout: a spatial map (where) times channel weights (what).

use candle_core::{Module, Result, Tensor, Var};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use super::start::Start;
use crate::variables::{normal, variable};

/// Standard deviation of a map's initial bump, in cells of the core's output.
const BUMP: f32 = 2.0;

#[derive(Debug)]
pub(crate) struct FactorizedReadout {
    /// `[neurons, rows * columns]`
    maps: Var,
    /// `[neurons, channels]`
    weights: Var,
    /// `[neurons]`
    bias: Var,
    rows: usize,
    columns: usize,
}

impl FactorizedReadout {
    pub(super) fn new(start: &Start, vars: &VarBuilder, rng: &mut ChaCha8Rng) -> Result<Self> {
        let [channels, rows, columns] = start.features;
        let neurons = start.mean_rates.len();
        let std = 0.3 / channels as f32;
        let bias = || start.mean_rates.iter().map(|&rate| start.output.inverse(rate)).collect();
        Ok(Self {
            maps: variable(vars, "maps", &[neurons, rows * columns], || {
                bumps(start.positions, rows, columns)
            })?,
            weights: normal(vars, "weights", &[neurons, channels], std, rng)?,
            bias: variable(vars, "bias", &[neurons], bias)?,
            rows,
            columns,
        })
    }

    /// Sum over neurons of the absolute map times the absolute weights, which is invariant to
    /// moving scale between the two.
    pub(super) fn absolute_weights(&self) -> Result<Tensor> {
        (self.maps.abs()?.sum(1)? * self.weights.abs()?.sum(1)?)?.sum_all()
    }

    /// Center of mass of each absolute map, (x, y) in [-1, 1].
    pub(super) fn centers(&self) -> Result<Vec<[f32; 2]>> {
        let maps: Vec<Vec<f32>> = self.maps.abs()?.to_vec2()?;
        let center = |map: &Vec<f32>| {
            let (mut x, mut y, mut mass) = (0.0, 0.0, 1e-12);
            for (i, m) in map.iter().enumerate() {
                x += m * ((i % self.columns) as f32 + 0.5);
                y += m * ((i / self.columns) as f32 + 0.5);
                mass += m;
            }
            [x / mass / self.columns as f32 * 2.0 - 1.0, y / mass / self.rows as f32 * 2.0 - 1.0]
        };
        Ok(maps.iter().map(center).collect())
    }
}

impl Module for FactorizedReadout {
    /// Values `[batch, neurons]` from `features` `[batch, channels, rows, columns]`.
    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let (batch, channels, rows, columns) = features.dims4()?;
        let neurons = self.bias.elem_count();
        let seen = features.reshape((batch * channels, rows * columns))?.matmul(&self.maps.t()?)?;
        let seen = seen.reshape((batch, channels, neurons))?;
        seen.broadcast_mul(&self.weights.t()?.unsqueeze(0)?)?.sum(1)?.broadcast_add(&self.bias)
    }
}

/// A bump with sum 1 around each position, flat `[neurons, rows * columns]`.
fn bumps(positions: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut maps = Vec::with_capacity(positions.len() / 2 * rows * columns);
    for position in positions.chunks_exact(2) {
        let cell = |p: f32, cells: usize| (p + 1.0) / 2.0 * cells as f32 - 0.5;
        let (x, y) = (cell(position[0], columns), cell(position[1], rows));
        let square = |i: usize| {
            (((i % columns) as f32 - x).powi(2) + ((i / columns) as f32 - y).powi(2))
                / (BUMP * BUMP)
        };
        let bump: Vec<f32> = (0..rows * columns).map(|i| (-square(i) / 2.0).exp()).collect();
        let sum: f32 = bump.iter().sum();
        maps.extend(bump.iter().map(|v| v / sum));
    }
    maps
}
