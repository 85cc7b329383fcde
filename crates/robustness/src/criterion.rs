//! Success criteria of attacks.

/// When an image counts as adversarial (Foolbox's criteria).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// Untargeted misclassification: any class but the label.
    Misclassification {
        /// The label.
        label: usize,
    },
    /// Targeted misclassification: exactly one class.
    TargetedMisclassification {
        /// The target class.
        class: usize,
    },
}

/// Relative lead, in units of the largest logit, below which rounding in another batch might change
/// the decision.
const ROUNDING: f64 = 1e-6;

impl Criterion {
    /// The class to leave or to reach.
    pub fn class(self) -> usize {
        match self {
            Self::Misclassification { label } => label,
            Self::TargetedMisclassification { class } => class,
        }
    }

    /// +1 if the logit of [`Criterion::class`] should grow, -1 if it should fall.
    pub fn sign(self) -> f64 {
        match self {
            Self::Misclassification { .. } => -1.0,
            Self::TargetedMisclassification { .. } => 1.0,
        }
    }

    /// By how much the criterion is met, in logits: positive beyond the decision boundary.
    pub fn margin(self, logits: &[f32]) -> f64 {
        let class = self.class();
        self.sign() * (f64::from(logits[class]) - f64::from(logits[strongest_but(logits, class)]))
    }

    /// Whether an image with these logits is adversarial. If logits tie, the first class is the
    /// model's decision.
    pub fn is_met(self, logits: &[f32]) -> bool {
        match self {
            Self::Misclassification { label } => decision(logits) != label,
            Self::TargetedMisclassification { class } => decision(logits) == class,
        }
    }

    /// Like [`Criterion::is_met`], but by a margin that rounding in another batch cannot undo.
    pub fn is_clearly_met(self, logits: &[f32]) -> bool {
        self.margin(logits) > clear_lead(logits)
    }
}

/// The smallest lead that rounding cannot undo.
pub(crate) fn clear_lead(logits: &[f32]) -> f64 {
    ROUNDING * logits.iter().fold(0.0f64, |max, logit| max.max(f64::from(logit.abs())))
}

/// The class with the largest logit; the first one if several tie.
pub(crate) fn decision(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// The class with the largest logit other than `class`; the first one if several tie.
pub(crate) fn strongest_but(logits: &[f32], class: usize) -> usize {
    let first = usize::from(class == 0);
    (first + 1..logits.len())
        .filter(|other| *other != class)
        .fold(first, |best, other| if logits[other] > logits[best] { other } else { best })
}

/// Classes by descending logit; ties keep their order.
pub(crate) fn ranking(logits: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    classes.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_criteria_at_the_decision_boundary() {
        let (leave, reach) = (
            Criterion::Misclassification { label: 1 },
            Criterion::TargetedMisclassification { class: 2 },
        );
        assert_eq!(leave.margin(&[0.5, 2.0, 1.0]), -1.0);
        assert_eq!(reach.margin(&[0.5, 2.0, 1.0]), -1.0);
        assert!(
            !leave.is_met(&[1.0, 1.5, 1.0]) && leave.is_met(&[1.0, 1.0, 0.0]),
            "the first of tied classes decides"
        );
        assert!(reach.is_met(&[0.0, 1.0, 1.5]) && !reach.is_met(&[0.0, 1.0, 1.0]));
        assert!(
            !leave.is_clearly_met(&[1.0, 1.0, 0.0]) && leave.is_clearly_met(&[1.001, 1.0, 0.0])
        );
        assert_eq!(
            (strongest_but(&[3.0, 1.0, 2.0], 0), strongest_but(&[3.0, 1.0, 2.0], 2)),
            (2, 0)
        );
        assert_eq!(ranking(&[1.0, 3.0, 3.0, 2.0]), [1, 2, 3, 0]);
    }
}
