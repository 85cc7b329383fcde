//! The fast gradient method.

use super::descent::Descent;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// One step of length epsilon from the image, along the gradient's sign (Linf: Goodfellow et al.
/// 2015) or the gradient itself (L2). The defaults are those of Foolbox 3.3
/// (`LinfFastGradientAttack`, `L2FastGradientAttack`): cross-entropy, no random start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fgsm(Descent);

impl Fgsm {
    /// Uses Foolbox's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self(Descent {
            norm,
            loss: Loss::CrossEntropy,
            steps: 1,
            relative_step: 1.0,
            random_start: false,
            restarts: 1,
            momentum: None,
            stop: false,
        })
    }
}

impl Attack for Fgsm {
    fn name(&self) -> String {
        "fgsm".into()
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
