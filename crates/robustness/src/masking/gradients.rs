//! Checks that gradients exist and are those of the model.

use super::check::{Check, percent};
use super::trial::share;
use crate::criterion::strongest_but;
use crate::norm::l2;
use crate::pass::{Pass, batches, logits, logits_of};
use crate::{Classifier, LabeledBatch, Result, Settings};

/// Fraction of images whose gradients may vanish because the model is certain.
const VANISHING: f64 = 0.05;
/// Fraction of images whose gradients may be off because the margin has kinks.
const WRONG_SLOPES: f64 = 0.25;

/// Whether cross-entropy, computed in single precision and not rescaled as in other tools, leaves a
/// gradient.
pub(super) fn vanishing(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Check> {
    let plain = |row: &[f32], label: usize| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = row.iter().map(|logit| (logit - largest).exp()).collect();
        let total: f32 = powers.iter().sum();
        (0..row.len())
            .map(|class| powers[class] / total - f32::from(u8::from(class == label)))
            .collect()
    };
    let without = |factors: &dyn Fn(&[f32], usize) -> Vec<f32>| -> Result<f64> {
        let zero: Vec<bool> = gradients(model, labeled, settings, factors)?
            .iter()
            .map(|gradient| l2(gradient) == 0.0)
            .collect();
        Ok(share(&zero))
    };
    let (cross_entropy, logits) = (without(&plain)?, without(&lead)?);
    let finding = if logits > VANISHING {
        Some(format!(
            "for {} of images not even the logits have a gradient: something in the model is not differentiable",
            percent(logits)
        ))
    } else if cross_entropy > VANISHING {
        Some(format!(
            "for {} of images cross-entropy has no gradient: the logits are so large that it saturates",
            percent(cross_entropy)
        ))
    } else {
        None
    };
    let figures = vec![
        ("images without gradient of cross-entropy".to_owned(), cross_entropy),
        ("images without gradient of the logits".to_owned(), logits),
    ];
    Ok(Check { name: "zero gradients", figures, finding })
}

/// Ratio of the change along a small gradient step to the change that the gradient predicts.
pub(super) fn slopes(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Check> {
    const STEP: f32 = 0.01;
    let gradients = gradients(model, labeled, settings, &lead)?;
    let before = logits_of(model, labeled, settings)?;
    let mut ratios = Vec::new();
    for (index, gradient) in gradients.iter().enumerate() {
        let length = l2(gradient) as f32;
        if length == 0.0 {
            continue;
        }
        let at = |sign: f32| -> Vec<f32> {
            let move_one = |(value, slope): (&f32, &f32)| {
                (value + sign * STEP * slope / length).clamp(0.0, 1.0)
            };
            labeled.image(index).iter().zip(gradient).map(move_one).collect()
        };
        let (up, down) = (at(1.0), at(-1.0));
        let rows = logits(
            model,
            labeled.shape(),
            &[up.clone(), down.clone()].concat(),
            &[labeled.numbers()[index]; 2],
        )?;
        let factors = lead(&before[index], labeled.label(index));
        let changed: f64 = (0..factors.len())
            .map(|class| {
                f64::from(factors[class]) * (f64::from(rows[0][class]) - f64::from(rows[1][class]))
            })
            .sum();
        let claimed: f64 = up
            .iter()
            .zip(&down)
            .zip(gradient)
            .map(|((up, down), slope)| f64::from(up - down) * f64::from(*slope))
            .sum();
        if claimed > 0.0 {
            ratios.push(changed / claimed);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let Some(median) = ratios.get(ratios.len() / 2).copied() else {
        return Ok(Check {
            name: "slopes",
            figures: vec![],
            finding: Some("there is no gradient to follow".into()),
        });
    };
    let off = ratios.iter().filter(|ratio| !(0.5..2.0).contains(*ratio)).count() as f64
        / ratios.len() as f64;
    let finding = (off > WRONG_SLOPES).then(|| {
        format!(
            "for {} of images a small step along the gradient does not have the predicted effect: the gradient is not that of the model",
            percent(off)
        )
    });
    let figures = vec![
        ("median of changed over claimed".to_owned(), median),
        ("images where that is not between 0.5 and 2".to_owned(), off),
    ];
    Ok(Check { name: "slopes", figures, finding })
}

fn gradients(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
    factors: &dyn Fn(&[f32], usize) -> Vec<f32>,
) -> Result<Vec<Vec<f32>>> {
    let mut all = Vec::with_capacity(labeled.len());
    for batch in batches(labeled.len(), settings.batch) {
        let pixels: Vec<f32> =
            batch.clone().flat_map(|index| labeled.image(index)).copied().collect();
        let pass = Pass::of(model, labeled.shape(), &pixels, &labeled.numbers()[batch.clone()])?;
        let rows: Vec<Vec<f32>> = batch
            .enumerate()
            .map(|(row, index)| factors(pass.logits(row), labeled.label(index)))
            .collect();
        all.extend(pass.back(&rows)?.chunks_exact(labeled.area()).map(<[f32]>::to_vec));
    }
    Ok(all)
}

/// Derivative of the strongest other class's lead over the label, with respect to the logits.
fn lead(row: &[f32], label: usize) -> Vec<f32> {
    let mut factors = vec![0.0; row.len()];
    (factors[label], factors[strongest_but(row, label)]) = (-1.0, 1.0);
    factors
}
