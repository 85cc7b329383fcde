//! Checks that need no gradients: the value range of the images, and whether logits are repeatable.

use super::check::{Check, percent};
use crate::criterion::decision;
use crate::pass::{batches, logits, logits_of};
use crate::{Classifier, LabeledBatch, Result, Settings};

/// Whether the model does better on the images rescaled to another common value range.
pub(super) fn scale(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Check> {
    let count = labeled.len() * labeled.area();
    let values =
        (0..labeled.len()).flat_map(|index| labeled.image(index)).map(|value| f64::from(*value));
    let mean = values.clone().sum::<f64>() / count as f64;
    let spread =
        (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64).sqrt().max(1e-6);
    let scales = [
        ("[0, 1]", 1.0, 0.0),
        ("[0, 255]", 255.0, 0.0),
        ("[-1, 1]", 2.0, -1.0),
        ("mean 0 and standard deviation 1", 1.0 / spread, -mean / spread),
        ("[0, 1/255]", 1.0 / 255.0, 0.0),
    ];
    let mut figures = Vec::new();
    let mut decisions_differ = false;
    for (name, factor, offset) in scales {
        let mut right = 0;
        for batch in batches(labeled.len(), settings.batch) {
            let pixels: Vec<f32> = batch
                .clone()
                .flat_map(|index| labeled.image(index))
                .map(|value| (factor * f64::from(*value) + offset) as f32)
                .collect();
            let rows = logits(model, labeled.shape(), &pixels, &labeled.numbers()[batch.clone()])?;
            if figures.is_empty() {
                decisions_differ |= rows.iter().any(|row| decision(row) != decision(&rows[0]));
            }
            right += rows
                .iter()
                .zip(batch)
                .filter(|(row, index)| decision(row) == labeled.label(*index))
                .count();
        }
        figures
            .push((format!("accuracy on images in {name}"), right as f64 / labeled.len() as f64));
    }
    let (here, best) = (
        figures[0].1,
        (0..scales.len())
            .fold(0, |best, index| if figures[index].1 > figures[best].1 { index } else { best }),
    );
    let error = (here.max(0.01) * (1.0 - here).max(0.01) / labeled.len() as f64).sqrt();
    let finding = if figures[best].1 > here + 0.05 + 2.0 * error {
        let (here, there) = (percent(here), percent(figures[best].1));
        Some(format!(
            "the model classifies {here} of images in [0, 1] correctly, but {there} in {}: wrong bounds, or normalization missing or done twice",
            scales[best].0
        ))
    } else if here == 0.0 {
        Some("the model classifies no image correctly".into())
    } else if !decisions_differ && labeled.len() > 10 {
        Some(
            "the model assigns every image to the same class: wrong bounds, or an untrained model"
                .into(),
        )
    } else {
        None
    };
    Ok(Check { name: "bounds", figures, finding })
}

/// Whether logits repeat between calls, and between an image alone and in a batch.
pub(super) fn repeatable(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Check> {
    let some: Vec<usize> = (0..labeled.len().min(32)).collect();
    let labeled = labeled.subset(&some);
    let first = logits_of(model, &labeled, settings)?;
    let again = logits_of(model, &labeled, settings)?;
    let alone = logits_of(model, &labeled, Settings { batch: 1, ..settings })?;
    let largest = first.iter().flatten().fold(f32::MIN_POSITIVE, |max, logit| max.max(logit.abs()));
    let apart = |other: &[Vec<f32>]| {
        let differences =
            first.iter().flatten().zip(other.iter().flatten()).map(|(a, b)| (a - b).abs());
        f64::from(differences.fold(0.0f32, f32::max) / largest)
    };
    let (twice, batch) = (apart(&again), apart(&alone));
    let finding = match (twice > 1e-3, batch > 1e-3) {
        (true, _) => Some(
            "the logits differ from one call to the next: something in the model is random"
                .to_owned(),
        ),
        (false, true) => Some(
            "the logits depend on the other images of the batch: is batch norm in training mode?"
                .to_owned(),
        ),
        (false, false) => None,
    };
    let figures = vec![
        (
            "largest difference of logits between two calls, over the largest logit".to_owned(),
            twice,
        ),
        ("the same between an image alone and in a batch".to_owned(), batch),
    ];
    Ok(Check { name: "repeatable", figures, finding })
}
