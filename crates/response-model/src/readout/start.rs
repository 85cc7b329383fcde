//! Initial values of a readout.

use crate::config::OutputConfig;

/// Initial values of a readout.
pub(crate) struct Start<'a> {
    /// Position (x, y) of each neuron in [-1, 1].
    pub(crate) positions: &'a [f32],
    /// Position (x, y) of each neuron in cortex, z-scored, if positions are predicted from it.
    pub(crate) coordinates: Option<&'a [f32]>,
    /// Mean response of each neuron in units of its standard deviation; the initial bias gives this
    /// rate.
    pub(crate) mean_rates: &'a [f32],
    /// The output nonlinearity, from values to rates.
    pub(crate) output: &'a OutputConfig,
    /// Channels, rows and columns of the core's output.
    pub(crate) features: [usize; 3],
}
