//! What is tested: a function from images to logits.

use crate::{Error, Examples, Result};
use candle_core::{DType, Device, Tensor, Var};

/// A model that classifies images.
///
/// Normalisation lives inside, dropout is off, batch norm uses its running statistics: the logits of an image depend on
/// nothing but the image. Weights should be plain tensors rather than [`Var`]s: attacks need the gradient with respect
/// to the images only, and candle computes one for every variable that it meets.
pub trait Classifier {
    /// Logits `[batch, classes]` of `images`, `[batch, channels, height, width]`, f32 in [0, 1] (beyond only under noise
    /// without clamp). For attacks the result must be differentiable in `images` by candle's autograd.
    ///
    /// # Errors
    /// Whatever candle refuses.
    fn logits(&self, images: &Tensor) -> candle_core::Result<Tensor>;

    /// Where the model lives.
    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// How an evaluation is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of all random streams.
    pub seed: u64,
    /// Images given to the model at once, at least 1. It changes the speed, not the results (up to what the model itself
    /// rounds differently in another batch).
    pub batch: usize,
}

/// Images done, of how many: told now and then during a long evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Images done.
    pub done: usize,
    /// Images to do.
    pub total: usize,
}

/// Whether the model classifies each image rightly.
///
/// # Errors
/// A label without a logit, a logit that is not finite, a failing model.
pub fn correct(model: &dyn Classifier, examples: &Examples, settings: Settings) -> Result<Vec<bool>> {
    let mut correct = Vec::with_capacity(examples.len());
    for batch in batches(examples.len(), settings.batch) {
        let pixels: Vec<f32> = batch.clone().flat_map(|index| examples.image(index)).copied().collect();
        let rows = Logits::of(model, examples.shape(), &pixels, &examples.numbers()[batch.clone()])?;
        for (row, index) in batch.enumerate() {
            correct.push(rows.class(row) == rows.checked(row, examples.label(index))?);
        }
    }
    Ok(correct)
}

/// Share of images that the model classifies rightly; `None` of no images.
///
/// # Errors
/// As [`correct`].
pub fn accuracy(model: &dyn Classifier, examples: &Examples, settings: Settings) -> Result<Option<f64>> {
    Ok(share(&correct(model, examples, settings)?))
}

pub(crate) fn share(flags: &[bool]) -> Option<f64> {
    let count = flags.iter().filter(|flag| **flag).count();
    (!flags.is_empty()).then(|| count as f64 / flags.len() as f64)
}

pub(crate) fn batches(count: usize, batch: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let batch = batch.max(1);
    (0..count).step_by(batch).map(move |start| start..count.min(start + batch))
}

/// Finite logits of a batch, on the host.
pub(crate) struct Logits {
    rows: Vec<Vec<f32>>,
    numbers: Vec<usize>,
}

impl Logits {
    /// Of images given as `pixels`.
    pub(crate) fn of(model: &dyn Classifier, shape: [usize; 3], pixels: &[f32], numbers: &[usize]) -> Result<Self> {
        let images = tensor(model, shape, pixels, numbers).map_err(failed("copying images", numbers))?;
        let logits = model.logits(&images).map_err(failed("logits", numbers))?;
        Self::read(&logits, numbers)
    }

    fn read(logits: &Tensor, numbers: &[usize]) -> Result<Self> {
        let rows = logits.to_dtype(DType::F32).and_then(|logits| logits.to_vec2::<f32>()).map_err(failed("logits", numbers))?;
        if rows.len() != numbers.len() || rows.iter().any(|row| row.len() < 2) {
            return Err(Error::Size {
                what: "logits",
                expected: format!("{} images by at least 2 classes", numbers.len()),
                found: format!("{:?}", logits.dims()),
            });
        }
        for (row, image) in rows.iter().zip(numbers) {
            if let Some(index) = row.iter().position(|logit| !logit.is_finite()) {
                return Err(Error::NotFinite { image: *image, what: "logit", index, found: row[index] });
            }
        }
        Ok(Self { rows, numbers: numbers.to_vec() })
    }

    /// The class of the largest logit, the first of equals.
    pub(crate) fn class(&self, row: usize) -> usize {
        let row = &self.rows[row];
        (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
    }

    /// `label`, if there is a logit for it.
    pub(crate) fn checked(&self, row: usize, label: usize) -> Result<usize> {
        let classes = self.rows[row].len();
        if label < classes { Ok(label) } else { Err(Error::Label { image: self.numbers[row], found: label, classes }) }
    }

    /// Whether another class leads `label` by more than what another batch may round away.
    pub(crate) fn clearly_misled(&self, row: usize, label: usize) -> bool {
        let row = &self.rows[row];
        let other =
            row.iter().enumerate().filter(|(class, _)| *class != label).fold(f32::NEG_INFINITY, |max, (_, x)| max.max(*x));
        let scale = row.iter().fold(0.0f32, |max, logit| max.max(logit.abs()));
        other - row[label] > 1e-5 * scale
    }
}

/// What an attack makes grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Cross-entropy of the label, as in Foolbox. It points away from the label towards a mixture of the other classes.
    CrossEntropy,
    /// Lead of the strongest other logit over the label's (Carlini and Wagner 2017). Where logits lie close together it
    /// finds the nearest border when cross-entropy points between borders.
    Margin,
}

/// Logits of a batch and the direction in which each image is misclassified the sooner.
pub(crate) struct Ascent {
    pub(crate) logits: Logits,
    pub(crate) gradients: Vec<f32>,
}

impl Ascent {
    /// Gradient, with respect to each image, of its loss; cross-entropy is divided by 1 - p(label).
    ///
    /// The division changes no direction, and attacks use nothing else of a gradient; but where the model is so sure
    /// that 1 - p rounds to 0, the plain cross-entropy has no gradient left and an attack would fail in silence.
    pub(crate) fn of(
        model: &dyn Classifier,
        loss: Loss,
        shape: [usize; 3],
        pixels: &[f32],
        labels: &[usize],
        numbers: &[usize],
    ) -> Result<Self> {
        let images = tensor(model, shape, pixels, numbers)
            .and_then(|images| Var::from_tensor(&images))
            .map_err(failed("copying images", numbers))?;
        let output = model.logits(images.as_tensor()).map_err(failed("logits", numbers))?;
        let logits = Logits::read(&output, numbers)?;
        let mut factors = Vec::new();
        for (row, label) in labels.iter().enumerate() {
            factors.extend(loss.factors(&logits.rows[row], logits.checked(row, *label)?));
        }
        let gradient = Tensor::from_vec(factors, output.dims(), &model.device())
            .and_then(|factors| output.mul(&factors.to_dtype(output.dtype())?)?.sum_all()?.backward())
            .and_then(|gradients| match gradients.get(images.as_tensor()) {
                Some(gradient) => gradient.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>(),
                // No differentiable way from the logits back to the image.
                None => Ok(vec![0.0; pixels.len()]),
            })
            .map_err(failed("gradient", numbers))?;
        if let Some(index) = gradient.iter().position(|value| !value.is_finite()) {
            let area: usize = shape.iter().product();
            let image = numbers[index / area];
            return Err(Error::NotFinite { image, what: "gradient at pixel", index: index % area, found: gradient[index] });
        }
        Ok(Self { logits, gradients: gradient })
    }
}

impl Loss {
    /// d loss / d logits: -1 for the label; for the others 1 on the strongest, or their softmax among themselves, which is
    /// what cross-entropy gives them once divided by 1 - p(label).
    fn factors(self, logits: &[f32], label: usize) -> Vec<f32> {
        let mut others: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
        others[label] = f64::NEG_INFINITY;
        let strongest = (0..others.len()).fold(0, |best, class| if others[class] > others[best] { class } else { best });
        let total: f64 = others.iter().map(|logit| (logit - others[strongest]).exp()).sum();
        let factor = |class: usize| match self {
            _ if class == label => -1.0,
            Self::CrossEntropy => ((others[class] - others[strongest]).exp() / total) as f32,
            Self::Margin => f32::from(u8::from(class == strongest)),
        };
        (0..logits.len()).map(factor).collect()
    }
}

fn tensor(
    model: &dyn Classifier,
    [channels, height, width]: [usize; 3],
    pixels: &[f32],
    numbers: &[usize],
) -> candle_core::Result<Tensor> {
    Tensor::from_slice(pixels, (numbers.len(), channels, height, width), &model.device())
}

fn failed(doing: &'static str, numbers: &[usize]) -> impl FnOnce(candle_core::Error) -> Error {
    let (first, last) = (numbers.first().copied().unwrap_or(0), numbers.last().copied().unwrap_or(0));
    move |source| Error::Model { doing, first, last, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_cross_entropy_up_to_scale() {
        let logits = [0.3f32, -1.0, 2.0, 0.5];
        let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
        let p: Vec<f64> = logits.iter().map(|logit| f64::from(*logit).exp() / total).collect();
        for (class, factor) in Loss::CrossEntropy.factors(&logits, 2).into_iter().enumerate() {
            let gradient = p[class] - if class == 2 { 1.0 } else { 0.0 };
            assert!((f64::from(factor) - gradient / (1.0 - p[2])).abs() < 1e-6);
        }
        assert_eq!(Loss::CrossEntropy.factors(&[1e6, 0.0], 0), [-1.0, 1.0], "also where the model is certain");
        assert_eq!(Loss::Margin.factors(&logits, 2), [0.0, 0.0, -1.0, 1.0]);
        assert_eq!(Loss::Margin.factors(&logits, 0), [-1.0, 0.0, 1.0, 0.0]);
    }
}
