//! Readouts: where each neuron reads, and how it weights the features there.

mod factorized;
mod point;
mod positions;
mod start;

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use rand_chacha::ChaCha8Rng;

use crate::config::{ReadoutConfig, ReadoutKind};
use crate::core::Pyramid;
use factorized::FactorizedReadout;
pub(crate) use point::Moves;
use point::PointReadout;
pub(crate) use start::Start;

/// The readout of one scan.
#[derive(Debug)]
pub(crate) enum Readout {
    /// Pyramid and Gaussian readouts: one position per neuron.
    Point(PointReadout),
    /// A spatial map per neuron.
    Factorized(FactorizedReadout),
}

/// A readout and what moves its positions.
pub(crate) struct Reading<'a> {
    pub(crate) readout: &'a Readout,
    pub(crate) moves: Moves,
}

impl Readout {
    /// The readout of one scan.
    pub(crate) fn new(
        config: &ReadoutConfig,
        start: &Start,
        vars: &VarBuilder,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        Ok(match config.kind {
            ReadoutKind::Pyramid | ReadoutKind::Gaussian => {
                Self::Point(PointReadout::new(config, start, vars, rng)?)
            }
            ReadoutKind::Factorized => Self::Factorized(FactorizedReadout::new(start, vars, rng)?),
        })
    }

    /// Sum over neurons of the absolute weights that the L1 penalty applies to.
    pub(crate) fn absolute_weights(&self) -> Result<Tensor> {
        match self {
            Self::Point(readout) => readout.absolute_weights(),
            Self::Factorized(readout) => readout.absolute_weights(),
        }
    }

    /// Clamps the positions to the image, where their gradient is not zero.
    pub(crate) fn clamp_positions(&self) -> Result<()> {
        match self {
            Self::Point(readout) => readout.positions.clamp(),
            Self::Factorized(_) => Ok(()),
        }
    }

    /// Whether positions are sampled in training.
    pub(crate) fn draws(&self) -> bool {
        matches!(self, Self::Point(readout) if readout.spread.is_some())
    }

    /// Center (x, y) of each neuron's receptive field, in [-1, 1].
    pub(crate) fn positions(&self) -> Result<Vec<[f32; 2]>> {
        match self {
            Self::Point(readout) => {
                let rows: Vec<Vec<f32>> = readout.positions.value()?.to_vec2()?;
                Ok(rows.iter().map(|row| [row[0], row[1]]).collect())
            }
            Self::Factorized(readout) => readout.centers(),
        }
    }
}

/// Values of the neurons of several readouts of one kind, `[batch, neurons]` for each readout.
///
/// Point readouts pass over each level once for all neurons: the features are large, the positions
/// are not.
pub(crate) fn read(readings: &[Reading], pyramid: &Pyramid) -> Result<Vec<Tensor>> {
    let mut points = Vec::new();
    let mut values = Vec::new();
    for reading in readings {
        match reading.readout {
            Readout::Point(readout) => points.push((readout, &reading.moves)),
            Readout::Factorized(readout) => {
                values.push(readout.forward(&pyramid.levels[0].features.tensor()?)?)
            }
        }
    }
    if points.is_empty() { Ok(values) } else { point::read(&points, pyramid) }
}
