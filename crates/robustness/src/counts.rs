//! What attacks cost.

/// What an attack cost for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points at which the model was evaluated.
    pub queries: usize,
    /// Gradients taken.
    pub gradient_calls: usize,
    /// Those that were zero everywhere: an attack that meets them fails for want of a direction, not against robustness.
    pub zero_gradients: usize,
}

impl Counts {
    /// Passes through the model, forward and back.
    pub fn passes(self) -> usize {
        self.queries + self.gradient_calls
    }

    /// Of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            queries: self.queries + other.queries,
            gradient_calls: self.gradient_calls + other.gradient_calls,
            zero_gradients: self.zero_gradients + other.zero_gradients,
        }
    }
}
