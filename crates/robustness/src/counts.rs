//! Costs of attacks.

/// Cost of an attack on one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points at which the model was evaluated.
    pub queries: usize,
    /// Gradients computed.
    pub gradient_calls: usize,
    /// Gradients that were zero everywhere. An attack that gets only these fails for lack of a
    /// direction, not because the model is robust.
    pub zero_gradients: usize,
}

impl Counts {
    /// Forward and backward passes through the model.
    pub fn passes(self) -> usize {
        self.queries + self.gradient_calls
    }

    /// Sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            queries: self.queries + other.queries,
            gradient_calls: self.gradient_calls + other.gradient_calls,
            zero_gradients: self.zero_gradients + other.zero_gradients,
        }
    }
}
