//! What a readout starts from.

use crate::config::OutputConfig;

/// What a readout starts from.
pub(crate) struct Start<'a> {
    /// (x, y) in [-1, 1] of each neuron.
    pub(crate) positions: &'a [f32],
    /// (x, y) of each neuron in cortex, z-scored, where the positions come from there.
    pub(crate) coordinates: Option<&'a [f32]>,
    /// Mean response of each neuron in units of its standard deviation: the bias starts where its rate is that mean.
    pub(crate) mean_rates: &'a [f32],
    /// What makes rates of values.
    pub(crate) output: &'a OutputConfig,
    /// Channels, rows and columns of the core's output.
    pub(crate) features: [usize; 3],
}
