//! The two kinds of attack.

/// How an attack uses epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttackKind {
    /// The attack looks for the strongest perturbation within epsilon.
    FixedEpsilon,
    /// The attack looks for the smallest perturbation; epsilon only tells it when to stop.
    Minimization,
}
