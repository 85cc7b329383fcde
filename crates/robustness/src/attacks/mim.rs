//! The momentum iterative method.

use super::descent::Descent;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// The basic iterative method with momentum, the sum of all gradients so far (Dong et al. 2018);
/// its results transfer better to other models. The defaults are those of Foolbox 3.3: momentum 1,
/// 10 steps of 0.2 epsilon, starting at the image. As in Foolbox, each gradient is normalized in
/// the attack's norm before it is added (for Linf, its sign), whereas the paper divides by the L1
/// norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mim(Descent);

impl Mim {
    /// Uses Foolbox's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        Self(Descent {
            norm,
            loss: Loss::CrossEntropy,
            steps: 10,
            relative_step: 0.2,
            random_start: false,
            restarts: 1,
            momentum: Some(1.0),
            stop: false,
        })
    }
}

impl Attack for Mim {
    fn name(&self) -> String {
        "mim".into()
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
