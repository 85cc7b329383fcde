//! One forward pass of images through a model, and gradients of its logits with respect to the
//! pixels.

use crate::{Classifier, Error, LabeledBatch, Result, Settings};
use candle_core::{DType, Tensor, Var};

/// Logits of all images, after checking that every label and target has one.
pub(crate) fn logits_of(
    model: &dyn Classifier,
    labeled: &LabeledBatch,
    settings: Settings,
) -> Result<Vec<Vec<f32>>> {
    let mut rows = Vec::with_capacity(labeled.len());
    for batch in batches(labeled.len(), settings.batch) {
        let pixels: Vec<f32> =
            batch.clone().flat_map(|index| labeled.image(index)).copied().collect();
        rows.extend(logits(model, labeled.shape(), &pixels, &labeled.numbers()[batch])?);
    }
    if let Some(row) = rows.first() {
        labeled.check_classes(row.len())?;
    }
    Ok(rows)
}

pub(crate) fn batches(count: usize, batch: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let batch = batch.max(1);
    (0..count).step_by(batch).map(move |start| start..count.min(start + batch))
}

/// Finite logits, one row for each image in `pixels`.
pub(crate) fn logits(
    model: &dyn Classifier,
    shape: [usize; 3],
    pixels: &[f32],
    numbers: &[usize],
) -> Result<Vec<Vec<f32>>> {
    let images =
        tensor(model, shape, pixels, numbers).map_err(failed("copying images", numbers))?;
    read(&model.logits(&images).map_err(failed("logits", numbers))?, numbers)
}

fn read(logits: &Tensor, numbers: &[usize]) -> Result<Vec<Vec<f32>>> {
    let rows = logits
        .to_dtype(DType::F32)
        .and_then(|logits| logits.to_vec2::<f32>())
        .map_err(failed("logits", numbers))?;
    if rows.len() != numbers.len() || rows.iter().any(|row| row.len() < 2) {
        return Err(Error::Size {
            what: "logits",
            expected: format!("{} images by at least 2 classes", numbers.len()),
            found: format!("{:?}", logits.dims()),
        });
    }
    for (row, image) in rows.iter().zip(numbers) {
        if let Some(index) = row.iter().position(|logit| !logit.is_finite()) {
            return Err(Error::NotFinite {
                image: *image,
                what: "logit",
                index,
                found: row[index],
            });
        }
    }
    Ok(rows)
}

/// One forward pass through a model. Gradients with respect to the pixels can be taken from it
/// repeatedly.
pub struct Pass {
    images: Var,
    output: Tensor,
    shape: [usize; 3],
    numbers: Vec<usize>,
    rows: Vec<Vec<f32>>,
    /// Rows of the images whose gradients are wanted: all of them, or those chosen by
    /// [`Pass::of_rows`].
    chosen: Vec<usize>,
}

impl Pass {
    pub(crate) fn of(
        model: &dyn Classifier,
        shape: [usize; 3],
        pixels: &[f32],
        numbers: &[usize],
    ) -> Result<Self> {
        let images = tensor(model, shape, pixels, numbers)
            .and_then(|images| Var::from_tensor(&images))
            .map_err(failed("copying images", numbers))?;
        let output = model.logits(images.as_tensor()).map_err(failed("logits", numbers))?;
        let rows = read(&output, numbers)?;
        Ok(Self {
            images,
            output,
            shape,
            numbers: numbers.to_vec(),
            rows,
            chosen: (0..numbers.len()).collect(),
        })
    }

    /// Restricts the pass to some of its images, by row.
    pub(crate) fn of_rows(mut self, rows: Vec<usize>) -> Self {
        self.chosen = rows.into_iter().map(|row| self.chosen[row]).collect();
        self
    }

    /// Logits of the `row`-th image.
    pub fn logits(&self, row: usize) -> &[f32] {
        &self.rows[self.chosen[row]]
    }

    /// For each image, the gradient of its logits weighted by these factors.
    pub(crate) fn back(&self, factors: &[Vec<f32>]) -> Result<Vec<f32>> {
        let area: usize = self.shape.iter().product();
        let classes = self.rows.first().map_or(0, Vec::len);
        let mut flat = vec![0.0; self.rows.len() * classes];
        for (row, factors) in self.chosen.iter().zip(factors) {
            flat[row * classes..(row + 1) * classes].copy_from_slice(factors);
        }
        let gradient = Tensor::from_vec(flat, self.output.dims(), self.output.device())
            .and_then(|factors| {
                self.output.mul(&factors.to_dtype(self.output.dtype())?)?.sum_all()?.backward()
            })
            .and_then(|gradients| match gradients.get(self.images.as_tensor()) {
                Some(gradient) => gradient.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>(),
                // The logits do not depend differentiably on the images.
                None => Ok(vec![0.0; self.numbers.len() * area]),
            })
            .map_err(failed("gradient", &self.numbers))?;
        if let Some(index) = gradient.iter().position(|value| !value.is_finite()) {
            let (image, index, found) = (self.numbers[index / area], index % area, gradient[index]);
            return Err(Error::NotFinite { image, what: "gradient at pixel", index, found });
        }
        if self.chosen.len() == self.rows.len() {
            return Ok(gradient);
        }
        Ok(self
            .chosen
            .iter()
            .flat_map(|row| &gradient[row * area..(row + 1) * area])
            .copied()
            .collect())
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
    let (first, last) =
        (numbers.first().copied().unwrap_or(0), numbers.last().copied().unwrap_or(0));
    move |source| Error::Model { doing, first, last, source }
}
