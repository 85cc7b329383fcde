//! The basic iterative method.

use super::descent::Descent;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// Gradient steps from the image, each projected back into the ball (Kurakin et al. 2017), with the
/// defaults of Foolbox 3.3: 10 steps of 0.2 epsilon. As in Foolbox, all steps run and the last
/// point is the result, so that an image is pushed as far beyond the decision boundary as the ball
/// allows; [`crate::Pgd`] stops at the boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bim(Descent);

impl Bim {
    /// Uses Foolbox's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self(Descent {
            norm,
            loss: Loss::CrossEntropy,
            steps: 10,
            relative_step: 0.2,
            random_start: false,
            restarts: 1,
            momentum: None,
            stop: false,
        })
    }
}

impl Attack for Bim {
    fn name(&self) -> String {
        "bim".into()
    }

    fn norm(&self) -> Norm {
        self.0.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        self.0.run(batch)
    }
}
