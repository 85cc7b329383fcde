//! The fast gradient method.

use crate::{Attack, Batch, Loss, Norm, Result};

/// One step of length epsilon along the gradient's sign (Linf: Goodfellow et al. 2015) or the gradient itself (L2), from
/// the image; the defaults of Foolbox 3.3 (`LinfFastGradientAttack`, `L2FastGradientAttack`:
/// cross-entropy, no random start).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fgsm {
    norm: Norm,
}

impl Fgsm {
    /// In this norm.
    pub fn new(norm: Norm) -> Self {
        Self { norm }
    }
}

impl Attack for Fgsm {
    fn name(&self) -> &'static str {
        "fgsm"
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let images: Vec<usize> = (0..batch.len()).collect();
        let gradients = batch.gradients(&images, Loss::CrossEntropy)?;
        for image in images {
            let (start, epsilon) = (batch.original(image).to_vec(), batch.epsilon(image));
            batch.place(image, self.norm, &start, &self.norm.steepest(gradients.of(image)), epsilon);
        }
        Ok(())
    }
}
