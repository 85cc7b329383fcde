//! Projected gradient descent.

use super::descent::Descent;
use crate::{Attack, AttackKind, Batch, Loss, Norm, Result};

/// Gradient steps, each projected back into the ball (Madry et al. 2018).
///
/// The defaults are those of Foolbox 3.3: 40 steps of 0.01/0.3 epsilon in Linf, 50 steps of 0.025
/// epsilon in L2, from one random point of the ball. Unlike in Foolbox, an image stops moving once
/// it is adversarial: the attack is as strong and needs fewer gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd(Descent);

impl Pgd {
    /// Uses Foolbox's defaults in this norm.
    pub fn new(norm: Norm) -> Self {
        let (steps, relative_step) = match norm {
            Norm::Linf => (40, 0.01 / 0.3),
            _ => (50, 0.025),
        };
        Self(Descent {
            norm,
            loss: Loss::CrossEntropy,
            steps,
            relative_step,
            random_start: true,
            restarts: 1,
            momentum: None,
            stop: true,
        })
    }

    /// Sets the number of steps (at least 1) and scales their length so that the total path stays
    /// the same.
    pub fn with_steps(self, steps: usize) -> Self {
        let path = self.0.relative_step * self.0.steps as f64;
        let steps = steps.max(1);
        Self(Descent { steps, relative_step: path / steps as f64, ..self.0 })
    }

    /// Sets the step length in units of epsilon.
    pub fn with_relative_step(self, relative_step: f64) -> Self {
        Self(Descent { relative_step, ..self.0 })
    }

    /// Replaces cross-entropy by another loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self(Descent { loss, ..self.0 })
    }

    /// Sets the number of restarts (at least 1), each from another random point.
    pub fn with_restarts(self, restarts: usize) -> Self {
        Self(Descent { restarts: restarts.max(1), ..self.0 })
    }

    /// Starts the first attempt at the image itself; restarts still start at random points. Without
    /// steps spent on returning from a random point, this reaches the closed-form optimum of a
    /// linear model.
    pub fn from_the_image(self) -> Self {
        Self(Descent { random_start: false, ..self.0 })
    }
}

impl Attack for Pgd {
    fn name(&self) -> String {
        match self.0.loss {
            Loss::CrossEntropy => "pgd".into(),
            Loss::Margin => "pgd-margin".into(),
            Loss::Dlr | Loss::TargetedDlr { .. } => "pgd-dlr".into(),
        }
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
