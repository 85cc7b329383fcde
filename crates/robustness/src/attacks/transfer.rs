//! Transfer attacks from other models.

use super::auto_attack::keep_fallen;
use crate::{Attack, AttackKind, Batch, Classifier, Norm, Result};

/// Runs another attack on source models with the same classes and tests its results on this model
/// (Szegedy et al. 2014). The attack learns nothing about the model under test except whether each
/// result is adversarial.
pub struct Transfer<'a> {
    attack: &'a dyn Attack,
    sources: Vec<&'a dyn Classifier>,
}

impl<'a> Transfer<'a> {
    /// Transfers the results of `attack` on each of `sources`. Use an attack that continues beyond
    /// the decision boundary, such as [`crate::Mim`].
    pub fn new(attack: &'a dyn Attack, sources: Vec<&'a dyn Classifier>) -> Self {
        Self { attack, sources }
    }
}

impl Attack for Transfer<'_> {
    fn name(&self) -> String {
        format!("transfer-{}", self.attack.name())
    }

    fn norm(&self) -> Norm {
        self.attack.norm()
    }

    fn kind(&self) -> AttackKind {
        AttackKind::FixedEpsilon
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let mut standing = batch.all();
        for source in &self.sources {
            let results = batch.elsewhere(&standing, *source, |inner| self.attack.run(inner))?;
            standing = keep_fallen(batch, self.attack.norm(), standing, results)?;
        }
        Ok(())
    }
}
