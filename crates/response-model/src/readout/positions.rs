//! Receptive field positions: learned per neuron, or predicted from the position in cortex.

use candle_core::{Result, Tensor, Var};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use super::start::Start;
use crate::config::PositionSource;
use crate::variables::{normal, variable};

/// Number of hidden units in the map from cortex to visual field (Sensorium's baseline).
const HIDDEN: usize = 30;

#[derive(Debug)]
pub(crate) enum Positions {
    /// `[neurons, 2]`
    Free(Var),
    /// A perceptron with one hidden layer and two tanh, from (x, y) in cortex.
    Cortical {
        /// Z-scored, `[neurons, 2]`; constant.
        coordinates: Var,
        hidden: Var,
        hidden_bias: Var,
        output: Var,
        output_bias: Var,
    },
}

impl Positions {
    pub(super) fn new(
        source: PositionSource,
        start: &Start,
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let neurons = start.mean_rates.len();
        if source == PositionSource::Located {
            return Ok(Self::Free(variable(vars, "positions", &[neurons, 2], || {
                start.positions.to_vec()
            })?));
        }
        let vars = &vars.pp("positions");
        let coordinates =
            || start.coordinates.map_or_else(|| vec![0.0; 2 * neurons], <[f32]>::to_vec);
        Ok(Self::Cortical {
            coordinates: variable(vars, "coordinates", &[neurons, 2], coordinates)?,
            hidden: normal(vars, "hidden", &[2, HIDDEN], 0.7, rng)?,
            hidden_bias: normal(vars, "hidden_bias", &[HIDDEN], 0.5, rng)?,
            output: normal(vars, "output", &[HIDDEN, 2], 0.3 / (HIDDEN as f32).sqrt(), rng)?,
            output_bias: variable(vars, "output_bias", &[2], || vec![0.0; 2])?,
        })
    }

    /// `[neurons, 2]`
    pub(super) fn value(&self) -> Result<Tensor> {
        match self {
            Self::Free(positions) => Ok(positions.as_tensor().clone()),
            Self::Cortical { coordinates, hidden, hidden_bias, output, output_bias } => {
                let hidden = coordinates
                    .as_detached_tensor()
                    .matmul(hidden)?
                    .broadcast_add(hidden_bias)?
                    .tanh()?;
                hidden.matmul(output)?.broadcast_add(output_bias)?.tanh()
            }
        }
    }

    pub(super) fn clamp(&self) -> Result<()> {
        match self {
            Self::Free(positions) => {
                positions.set(&positions.as_tensor().detach().clamp(-1f32, 1f32)?)
            }
            Self::Cortical { .. } => Ok(()),
        }
    }
}
