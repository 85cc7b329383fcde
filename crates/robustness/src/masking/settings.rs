//! How much the checks try.

/// How much is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskingSettings {
    /// Linf size at which attacks are compared: one at which a good part of the images falls and another stands.
    pub epsilon: f64,
    /// Steps of gradient descent, rising.
    pub steps: Vec<usize>,
    /// Random starts of gradient descent, rising.
    pub restarts: Vec<usize>,
    /// Queries of the black-box attack.
    pub queries: usize,
    /// Random directions tried for each image.
    pub directions: usize,
}

impl MaskingSettings {
    /// 1 to 100 steps, 1 and 5 starts, 1,000 queries, 50 directions.
    pub fn at(epsilon: f64) -> Self {
        Self { epsilon, steps: vec![1, 5, 20, 100], restarts: vec![1, 5], queries: 1000, directions: 50 }
    }
}
