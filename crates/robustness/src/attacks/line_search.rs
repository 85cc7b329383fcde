//! Bisection towards the image.

use crate::{Attack, AttackKind, Batch, Norm, Result};

/// Brings an adversarial point that is known already back towards the image until it would not be adversarial any more:
/// along the line (L2), or by clipping its changes (Linf). What attacks leave beyond the decision boundary is taken off so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineSearch {
    norm: Norm,
    steps: usize,
}

impl LineSearch {
    /// In this norm; 12 halvings.
    pub fn new(norm: Norm) -> Self {
        Self { norm, steps: 12 }
    }
}

impl Attack for LineSearch {
    fn name(&self) -> String {
        "line-search".into()
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn kind(&self) -> AttackKind {
        AttackKind::Minimization
    }

    fn run(&self, batch: &mut Batch) -> Result<()> {
        let known: Vec<(usize, Vec<f32>)> =
            batch.all().into_iter().filter_map(|image| Some((image, batch.start(image)?.to_vec()))).collect();
        let images: Vec<usize> = known.iter().map(|(image, _)| *image).collect();
        let mut ranges: Vec<(f64, f64)> = known
            .iter()
            .map(|(image, point)| match self.norm {
                Norm::L2 => (0.0, 1.0),
                Norm::Linf => (0.0, self.norm.distance(batch.original(*image), point)),
            })
            .collect();
        for _ in 0..self.steps {
            let points: Vec<Vec<f32>> = known
                .iter()
                .zip(&ranges)
                .map(|((image, point), (low, high))| between(self.norm, batch.original(*image), point, 0.5 * (low + high)))
                .collect();
            let adversarial = batch.are_adversarial(&images, &points.concat())?;
            for (((image, (low, high)), point), adversarial) in images.iter().zip(&mut ranges).zip(&points).zip(adversarial) {
                let middle = 0.5 * (*low + *high);
                if adversarial {
                    *high = middle;
                    batch.keep_if_closer(*image, point);
                } else {
                    *low = middle;
                }
            }
        }
        Ok(())
    }
}

/// A share of the way from an image to a point: along the line, or, in Linf, to within that share of [0, 1].
pub(super) fn between(norm: Norm, original: &[f32], point: &[f32], share: f64) -> Vec<f32> {
    let mix = |(a, b): (&f32, &f32)| {
        let change = f64::from(*b) - f64::from(*a);
        let moved = match norm {
            Norm::L2 => share * change,
            Norm::Linf => change.clamp(-share, share),
        };
        ((f64::from(*a) + moved) as f32).clamp(0.0, 1.0)
    };
    original.iter().zip(point).map(mix).collect()
}
