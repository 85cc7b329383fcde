//! Error rates under corruption.

use super::family::Corruption;
use crate::criterion::decision;
use crate::pass::{batches, logits};
use crate::{Classifier, Error, EvalOptions, LabeledBatch, Progress, Result};
use rayon::prelude::*;

/// Errors of a model under one corruption, severities 1 to 5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorruptionErrors {
    /// The corruption.
    pub corruption: Corruption,
    /// Number of misclassified images at each severity.
    pub wrong: [usize; 5],
    /// Number of images, at least one.
    pub images: usize,
}

impl CorruptionErrors {
    /// Error rate at each severity.
    pub fn errors(&self) -> [f64; 5] {
        self.wrong.map(|wrong| wrong as f64 / self.images as f64)
    }

    /// Error rate averaged over the severities.
    pub fn mean(&self) -> f64 {
        self.errors().iter().sum::<f64>() / 5.0
    }
}

/// Mean corruption error over these corruptions: the plain mean of their error rates, as is usual
/// for CIFAR-10-C (for ImageNet-C each is first divided by AlexNet's). `None` for an empty list.
pub fn mean_corruption_error(errors: &[CorruptionErrors]) -> Option<f64> {
    (!errors.is_empty())
        .then(|| errors.iter().map(CorruptionErrors::mean).sum::<f64>() / errors.len() as f64)
}

/// Errors of a model under each corruption and severity.
///
/// # Errors
/// Returns [`Error::NoImages`] if there are no images, and the errors of [`Corruption::apply`] and
/// of [`correct`](crate::correct).
pub fn corruption_errors<'a>(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    families: &[Corruption],
    options: impl Into<EvalOptions<'a>>,
) -> Result<Vec<CorruptionErrors>> {
    if labeled.is_empty() {
        return Err(Error::NoImages);
    }
    let mut options = options.into();
    let settings = options.settings;
    crate::correct(model, labeled, settings)?;
    let total = families.len() * 5 * labeled.len();
    let mut done = 0;
    let mut results = Vec::with_capacity(families.len());
    for corruption in families.iter().copied() {
        let mut wrong = [0; 5];
        for severity in 1..=5 {
            for batch in batches(labeled.len(), settings.batch) {
                let corrupted: Vec<Vec<f32>> = batch
                    .clone()
                    .into_par_iter()
                    .map(|index| {
                        let mut pixels = labeled.image(index).to_vec();
                        corruption.apply(
                            labeled.shape(),
                            &mut pixels,
                            severity,
                            settings.seed,
                            labeled.numbers()[index],
                        )?;
                        Ok(pixels)
                    })
                    .collect::<Result<_>>()?;
                let rows = logits(
                    model,
                    labeled.shape(),
                    &corrupted.concat(),
                    &labeled.numbers()[batch.clone()],
                )?;
                done += batch.len();
                wrong[severity - 1] += rows
                    .iter()
                    .zip(batch)
                    .filter(|(row, index)| decision(row) != labeled.label(*index))
                    .count();
                options.tell(Progress { done, total });
            }
        }
        results.push(CorruptionErrors { corruption, wrong, images: labeled.len() });
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_families() {
        let errors = |corruption, base: usize| CorruptionErrors {
            corruption,
            wrong: [0, 1, 2, 3, 4].map(|x| base + x),
            images: 10,
        };
        let both = [errors(Corruption::Fog, 1), errors(Corruption::Jpeg, 3)];
        assert_eq!(both[0].errors(), [0.1, 0.2, 0.3, 0.4, 0.5]);
        assert!((mean_corruption_error(&both).unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(mean_corruption_error(&[]), None);
    }
}
