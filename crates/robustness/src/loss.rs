//! Losses that gradient attacks maximize: functions of the logits and their derivatives.

use crate::Criterion;
use crate::criterion::{ranking, strongest_but};

/// A function of an image's logits that grows as the attack approaches its criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Log odds of all other classes against the label (of a target class against all others). They
    /// increase exactly when cross-entropy does, and their gradient has the same direction but does
    /// not vanish where the model is certain: it is the gradient of cross-entropy divided by 1 -
    /// p(label).
    CrossEntropy,
    /// Lead of the strongest other logit over the label's logit (Carlini and Wagner 2017).
    Margin,
    /// Difference of logits ratio (Croce and Hein 2020): the margin divided by the difference
    /// between the largest and third largest logits; the plain margin if there are only two
    /// classes.
    Dlr,
    /// Targeted DLR (AutoAttack): the target's lead over the label's logit, divided by the
    /// difference between the largest logit and the mean of the third and fourth; the plain lead if
    /// there are fewer than four classes.
    TargetedDlr {
        /// The target class.
        class: usize,
    },
}

/// The loss of one image and its derivative with respect to each logit.
#[derive(Clone, Debug, PartialEq)]
pub struct Slope {
    /// The loss.
    pub value: f64,
    /// Derivatives, one per logit.
    pub factors: Vec<f32>,
}

/// AutoAttack adds this constant to the denominator of DLR.
const RATIO_FLOOR: f64 = 1e-12;

impl Loss {
    /// Evaluates the loss at these logits for this criterion.
    pub fn slope(self, logits: &[f32], criterion: Criterion) -> Slope {
        match self {
            Self::CrossEntropy => log_odds(logits, criterion),
            Self::Margin => lead(logits, criterion),
            Self::Dlr if logits.len() < 3 => lead(logits, criterion),
            Self::Dlr => {
                let order = ranking(logits);
                over(lead(logits, criterion), logits, &[(order[0], 1.0), (order[2], -1.0)])
            }
            Self::TargetedDlr { class } => {
                let numerator = difference(logits, class, criterion.class());
                if logits.len() < 4 {
                    return numerator;
                }
                let order = ranking(logits);
                over(numerator, logits, &[(order[0], 1.0), (order[2], -0.5), (order[3], -0.5)])
            }
        }
    }
}

fn log_odds(logits: &[f32], criterion: Criterion) -> Slope {
    let class = criterion.class();
    let strongest = f64::from(logits[strongest_but(logits, class)]);
    let powers: Vec<f64> = logits
        .iter()
        .enumerate()
        .map(
            |(other, logit)| {
                if other == class { 0.0 } else { (f64::from(*logit) - strongest).exp() }
            },
        )
        .collect();
    let total: f64 = powers.iter().sum();
    let sign = criterion.sign();
    let factors = (0..logits.len())
        .map(|other| (sign * if other == class { 1.0 } else { -powers[other] / total }) as f32);
    Slope {
        value: sign * (f64::from(logits[class]) - strongest - total.ln()),
        factors: factors.collect(),
    }
}

fn lead(logits: &[f32], criterion: Criterion) -> Slope {
    let (class, other) = (criterion.class(), strongest_but(logits, criterion.class()));
    match criterion {
        Criterion::Misclassification { .. } => difference(logits, other, class),
        Criterion::TargetedMisclassification { .. } => difference(logits, class, other),
    }
}

fn difference(logits: &[f32], more: usize, less: usize) -> Slope {
    let mut factors = vec![0.0; logits.len()];
    factors[more] += 1.0;
    factors[less] -= 1.0;
    Slope { value: f64::from(logits[more]) - f64::from(logits[less]), factors }
}

/// Quotient rule: `numerator` divided by a weighted sum of logits.
fn over(numerator: Slope, logits: &[f32], denominator: &[(usize, f64)]) -> Slope {
    let below =
        denominator.iter().map(|(class, weight)| weight * f64::from(logits[*class])).sum::<f64>()
            + RATIO_FLOOR;
    let value = numerator.value / below;
    let mut factors: Vec<f64> =
        numerator.factors.iter().map(|factor| f64::from(*factor) / below).collect();
    for (class, weight) in denominator {
        factors[*class] -= value * weight / below;
    }
    Slope { value, factors: factors.into_iter().map(|factor| factor as f32).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: [Loss; 4] =
        [Loss::CrossEntropy, Loss::Margin, Loss::Dlr, Loss::TargetedDlr { class: 3 }];
    const LOGITS: [f32; 5] = [0.3, -1.0, 2.0, 0.5, -0.2];

    #[test]
    fn factors_are_derivatives() {
        for loss in LOSSES {
            for criterion in [
                Criterion::Misclassification { label: 2 },
                Criterion::Misclassification { label: 1 },
                Criterion::TargetedMisclassification { class: 0 },
            ] {
                let slope = loss.slope(&LOGITS, criterion);
                for class in 0..5 {
                    let moved = |by: f32| {
                        let mut logits = LOGITS;
                        logits[class] += by;
                        loss.slope(&logits, criterion).value
                    };
                    let numeric = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                    assert!(
                        (f64::from(slope.factors[class]) - numeric).abs() < 1e-3,
                        "{loss:?} {criterion:?} {class}"
                    );
                }
            }
        }
    }

    #[test]
    fn cross_entropy_has_its_direction_also_where_the_model_is_certain() {
        let total: f64 = LOGITS.iter().map(|logit| f64::from(*logit).exp()).sum();
        let p: Vec<f64> = LOGITS.iter().map(|logit| f64::from(*logit).exp() / total).collect();
        for (class, factor) in Loss::CrossEntropy
            .slope(&LOGITS, Criterion::Misclassification { label: 2 })
            .factors
            .into_iter()
            .enumerate()
        {
            let gradient = p[class] - if class == 2 { 1.0 } else { 0.0 };
            assert!((f64::from(factor) - gradient / (1.0 - p[2])).abs() < 1e-6);
        }
        let certain =
            Loss::CrossEntropy.slope(&[1e6, 0.0], Criterion::Misclassification { label: 0 });
        assert_eq!((certain.value, certain.factors), (-1e6, vec![-1.0, 1.0]));
    }

    #[test]
    fn ratios_do_not_depend_on_the_scale_of_the_logits() {
        let scaled = LOGITS.map(|logit| 1e4 * logit);
        for loss in [Loss::Dlr, Loss::TargetedDlr { class: 3 }] {
            let criterion = Criterion::Misclassification { label: 2 };
            assert!(
                (loss.slope(&LOGITS, criterion).value - loss.slope(&scaled, criterion).value).abs()
                    < 1e-6
            );
        }
        assert_eq!(
            Loss::Dlr.slope(&[1.0, 3.0], Criterion::Misclassification { label: 1 }).value,
            -2.0
        );
    }
}
