//! Progress of an optimization.

/// Progress of an optimization: everything in a checkpoint except tensors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    pub(super) epochs: usize,
    pub(super) steps: usize,
    pub(super) learning_rate: f64,
    /// The best validation correlation.
    pub(super) best: f64,
    pub(super) since_best: usize,
    pub(super) decays: usize,
    pub(super) finished: bool,
}

impl Schedule {
    /// The progress before the first step.
    pub(super) fn start(learning_rate: f64) -> Self {
        Self {
            epochs: 0,
            steps: 0,
            learning_rate,
            best: f64::NEG_INFINITY,
            since_best: 0,
            decays: 0,
            finished: false,
        }
    }
}
