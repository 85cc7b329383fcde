//! Settings and progress of an evaluation.

/// Settings of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of all random streams.
    pub seed: u64,
    /// Images per call to the model, at least 1. It affects speed only; results differ at most by the model's own
    /// rounding in different batch sizes.
    pub batch: usize,
}

/// Progress of a long evaluation, reported from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Images done.
    pub done: usize,
    /// Images to do.
    pub total: usize,
}
