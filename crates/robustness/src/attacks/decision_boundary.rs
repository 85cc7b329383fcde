//! The nearest decision boundary of the linearized model, used by DeepFool and FAB.

use crate::criterion::{ranking, strongest_but};
use crate::pass::Pass;
use crate::{Batch, Criterion, Norm, Result};

/// Two classes whose logits are equal on a decision boundary: the one to raise and the one to
/// lower.
pub(crate) type Pair = (usize, usize);

/// A decision boundary near a point.
#[derive(Clone)]
pub(crate) struct DecisionBoundary {
    /// Lead of the raised class over the lowered one; negative before the decision boundary.
    pub(crate) lead: f64,
    /// Gradient of the lead.
    pub(crate) gradient: Vec<f32>,
    /// Estimated distance.
    pub(crate) distance: f64,
}

/// The classes that an attack may reach: the `count` most likely ones other than the criterion's
/// own.
pub(crate) fn candidate_classes(criterion: Criterion, logits: &[f32], count: usize) -> Vec<usize> {
    let mut classes: Vec<usize> = ranking(logits).into_iter().take(count).collect();
    classes.retain(|class| *class != criterion.class());
    classes
}

/// The decision boundaries to these classes; for a targeted attack, the boundary between the target
/// and the strongest other class.
pub(crate) fn pairs(criterion: Criterion, logits: &[f32], classes: &[usize]) -> Vec<Pair> {
    match criterion {
        Criterion::Misclassification { label } => {
            classes.iter().map(|class| (*class, label)).collect()
        }
        Criterion::TargetedMisclassification { class } => {
            vec![(class, strongest_but(logits, class))]
        }
    }
}

/// The nearest decision boundary of each image in the pass, if there is any.
pub(crate) fn nearest(
    batch: &mut Batch,
    pass: &Pass,
    images: &[usize],
    boundaries: &[Vec<Pair>],
    norm: Norm,
    floor: f64,
) -> Result<Vec<Option<DecisionBoundary>>> {
    let area = batch.area();
    let mut nearest: Vec<Option<DecisionBoundary>> = vec![None; images.len()];
    for rank in 0..boundaries.iter().map(Vec::len).max().unwrap_or(0) {
        let factors: Vec<Vec<f32>> = boundaries
            .iter()
            .enumerate()
            .map(|(row, pairs)| {
                let mut factors = vec![0.0; pass.logits(row).len()];
                if let Some((more, less)) = pairs.get(rank) {
                    (factors[*more], factors[*less]) = (1.0, -1.0);
                }
                factors
            })
            .collect();
        let gradients = batch.back(pass, images, &factors)?;
        for (row, gradient) in gradients.chunks_exact(area).enumerate() {
            let Some((more, less)) = boundaries[row].get(rank) else { continue };
            let lead = f64::from(pass.logits(row)[*more]) - f64::from(pass.logits(row)[*less]);
            let distance = lead.abs() / (norm.dual_length(gradient) + floor);
            if nearest[row].as_ref().is_none_or(|best| distance < best.distance) {
                nearest[row] =
                    Some(DecisionBoundary { lead, gradient: gradient.to_vec(), distance });
            }
        }
    }
    Ok(nearest)
}
