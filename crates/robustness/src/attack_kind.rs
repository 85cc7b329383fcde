//! The two kinds of attack.

/// What an attack does with an epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttackKind {
    /// The attack uses the epsilon up: it looks for the strongest perturbation within.
    FixedEpsilon,
    /// The attack looks for the smallest perturbation; epsilon is only where it may stop.
    Minimization,
}
