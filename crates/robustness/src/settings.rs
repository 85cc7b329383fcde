//! How evaluations are run, and how far they are.

/// How an evaluation is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of all random streams.
    pub seed: u64,
    /// Images given to the model at once, at least 1. It changes the speed, not the results (up to what the model itself
    /// rounds differently in another batch).
    pub batch: usize,
}

/// Images done, of how many: told now and then during a long evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Images done.
    pub done: usize,
    /// Images to do.
    pub total: usize,
}
