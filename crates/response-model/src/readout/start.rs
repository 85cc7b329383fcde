//! What a readout starts from.

/// What a readout starts from.
pub(crate) struct Start<'a> {
    /// (x, y) in [-1, 1] of each neuron.
    pub(crate) positions: &'a [f32],
    /// (x, y) of each neuron in cortex, z-scored, where the positions come from there.
    pub(crate) coordinates: Option<&'a [f32]>,
    /// Mean response of each neuron in units of its standard deviation: the bias starts where ELU(bias) + 1 is that mean.
    pub(crate) mean_rates: &'a [f32],
    /// Channels, rows and columns of the core's output.
    pub(crate) features: [usize; 3],
}

/// Where ELU(x) + 1 is `rate`.
pub(super) fn before_output(rate: f32) -> f32 {
    if rate > 1.0 { rate - 1.0 } else { rate.max(1e-3).ln() }
}
