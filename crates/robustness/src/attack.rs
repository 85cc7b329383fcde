//! What every attack offers.

use crate::batch::Batch;
use crate::{AttackKind, Norm, Result};

/// An attack. It only has to leave a candidate for each image; bounds, verification and counts are the driver's business.
pub trait Attack: Sync {
    /// Its name, for reports.
    fn name(&self) -> String;

    /// The norm in which it measures perturbations.
    fn norm(&self) -> Norm;

    /// Whether it uses up an epsilon or looks for the smallest perturbation.
    fn kind(&self) -> AttackKind;

    /// Leaves, for each image of `batch`, the best point that it finds as the candidate.
    ///
    /// # Errors
    /// Returns the error of [`Batch`] if the model refuses a point or answers with a value that is not finite.
    fn run(&self, batch: &mut Batch) -> Result<()>;
}
