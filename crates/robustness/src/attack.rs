//! The interface of an attack.

use crate::batch::Batch;
use crate::{AttackKind, Norm, Result};

/// An attack. It only leaves a candidate for each image; the driver enforces bounds, verifies
/// results and counts passes.
pub trait Attack: Sync {
    /// The name used in reports.
    fn name(&self) -> String;

    /// The norm in which perturbations are measured.
    fn norm(&self) -> Norm;

    /// Whether the attack uses a fixed epsilon or minimizes the perturbation.
    fn kind(&self) -> AttackKind;

    /// For each image of `batch`, leaves the best point found as its candidate.
    ///
    /// # Errors
    /// Returns the error of [`Batch`] if the model rejects a point or returns a value that is not
    /// finite.
    fn run(&self, batch: &mut Batch) -> Result<()>;
}
