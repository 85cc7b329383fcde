//! Effort of the checks.

/// Effort of the checks.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskingSettings {
    /// Linf size at which attacks are compared; choose one at which many images fall and many
    /// withstand.
    pub epsilon: f64,
    /// Numbers of gradient descent steps, increasing.
    pub steps: Vec<usize>,
    /// Numbers of random starts, increasing.
    pub restarts: Vec<usize>,
    /// Queries of the black-box attack.
    pub queries: usize,
    /// Random directions per image.
    pub directions: usize,
}

impl MaskingSettings {
    /// 1 to 100 steps, 1 and 5 starts, 1,000 queries, 50 directions.
    pub fn at(epsilon: f64) -> Self {
        Self {
            epsilon,
            steps: vec![1, 5, 20, 100],
            restarts: vec![1, 5],
            queries: 1000,
            directions: 50,
        }
    }
}
