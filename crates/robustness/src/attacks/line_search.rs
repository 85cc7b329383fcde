//! Bisection from an adversarial point towards the image.

use crate::norm::shrunk;
use crate::{Attack, AttackKind, Batch, Norm, Result};

/// Moves a known adversarial point back towards the image as long as it stays adversarial: along
/// the line (L2), by clipping its changes (Linf), by shrinking all changes equally (L1), or by
/// keeping the largest ones (L0). This removes what attacks leave beyond the decision boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineSearch {
    norm: Norm,
    steps: usize,
}

impl LineSearch {
    /// Uses 12 bisections in this norm.
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
        let known: Vec<(usize, Vec<f32>)> = batch
            .all()
            .into_iter()
            .filter_map(|image| Some((image, batch.start(image)?.to_vec())))
            .collect();
        let images: Vec<usize> = known.iter().map(|(image, _)| *image).collect();
        let mut ranges: Vec<(f64, f64)> = known
            .iter()
            .map(|(image, point)| (0.0, whole(self.norm, batch.original(*image), point)))
            .collect();
        for _ in 0..self.steps {
            let points: Vec<Vec<f32>> = known
                .iter()
                .zip(&ranges)
                .map(|((image, point), (low, high))| {
                    between(self.norm, batch.original(*image), point, 0.5 * (low + high))
                })
                .collect();
            let adversarial = batch.are_adversarial(&images, &points.concat())?;
            for (((image, (low, high)), point), adversarial) in
                images.iter().zip(&mut ranges).zip(&points).zip(adversarial)
            {
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

/// The value of `share` at which [`between`] returns the point itself.
pub(super) fn whole(norm: Norm, original: &[f32], point: &[f32]) -> f64 {
    match norm {
        Norm::L2 => 1.0,
        Norm::Linf | Norm::L1 => Norm::Linf.distance(original, point),
        Norm::L0 => norm.distance(original, point),
    }
}

/// A point between an image and another point, for `share` from 0 to [`whole`]: linear
/// interpolation (L2), every change clipped to `share` (Linf), every change shrunk by `whole -
/// share` (L1), or the `share` largest changes kept (L0).
pub(super) fn between(norm: Norm, original: &[f32], point: &[f32], share: f64) -> Vec<f32> {
    if norm == Norm::L0 {
        let mut kept = point.to_vec();
        norm.project(original, &mut kept, share.ceil());
        return kept;
    }
    let missing = whole(norm, original, point) - share;
    let mix = |(a, b): (&f32, &f32)| {
        let change = f64::from(*b) - f64::from(*a);
        let moved = match norm {
            Norm::L2 | Norm::L0 => share * change,
            Norm::Linf => change.clamp(-share, share),
            Norm::L1 => shrunk(change, missing),
        };
        ((f64::from(*a) + moved) as f32).clamp(0.0, 1.0)
    };
    original.iter().zip(point).map(mix).collect()
}
