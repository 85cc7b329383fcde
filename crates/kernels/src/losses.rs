//! Losses that end a forward pass: small, exact, one operation each.

use crate::Error;
use crate::arguments::{contiguous, has_shape, same_kind, with_elements};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor};

/// Similarities are taken no closer to -1 and 1 than this, so that arctanh stays finite (`docs/method.md`, "Regularised training").
pub const CLAMP: f64 = 1e-5;

/// `scale * mean over pairs of (arctanh s - arctanh t)^2` (paper, section 2.3), both clamped to 1 - [`CLAMP`] in size; no
/// gradient where s is clamped. `similarity` and `target` are `[pairs]`; the target has no gradient.
///
/// # Errors
/// Ranks, sizes or kinds that do not fit (see [`Error`]).
pub fn arctanh_squared_loss(similarity: &Tensor, target: &Tensor, scale: f64) -> Result<Tensor> {
    const OP: &str = "arctanh_squared_loss";
    same_kind(OP, &[("similarity", similarity), ("target", target)])?;
    let pairs = match *similarity.dims() {
        [pairs] if pairs > 0 => pairs,
        _ => {
            let found = similarity.dims().to_vec();
            return Err(Error::Shape {
                op: OP,
                argument: "similarity",
                expected: "[pairs], at least 1".into(),
                found,
                remedy: "flatten it",
            }
            .into());
        }
    };
    has_shape(OP, "target", target, &[pairs])?;
    #[cfg(feature = "cuda")]
    if similarity.device().is_cuda() {
        return crate::cuda::losses::arctanh_squared_loss(similarity, target, scale);
    }
    let target = with_elements(target, |target| Ok(target.to_vec()))?;
    similarity.contiguous()?.apply_op1(ArctanhSquared { target, scale })
}

struct ArctanhSquared {
    target: Vec<f32>,
    scale: f64,
}

/// Clamped in f64, where 1 - [`CLAMP`] is not rounded by half a percent of its distance to 1.
fn arctanh(value: f32) -> f64 {
    f64::from(value).clamp(CLAMP - 1.0, 1.0 - CLAMP).atanh()
}

impl CustomOp1 for ArctanhSquared {
    fn name(&self) -> &'static str {
        "arctanh_squared_loss"
    }

    fn cpu_fwd(&self, similarity: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let pairs = contiguous(similarity, layout)?.iter().zip(&self.target);
        let sum: f64 = pairs.map(|(s, t)| (arctanh(*s) - arctanh(*t)).powi(2)).sum();
        Ok((CpuStorage::F32(vec![(self.scale * sum / self.target.len() as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, similarity: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let factor = f64::from(gradient.to_vec0::<f32>()?) * self.scale * 2.0 / self.target.len() as f64;
        with_elements(similarity, |values| {
            let one = |(s, t): (&f32, &f32)| match f64::from(s.abs()) < 1.0 - CLAMP {
                true => (factor * (arctanh(*s) - arctanh(*t)) / (1.0 - f64::from(*s).powi(2))) as f32,
                false => 0.0,
            };
            let input: Vec<f32> = values.iter().zip(&self.target).map(one).collect();
            Tensor::from_vec(input, similarity.dims(), &Device::Cpu).map(Some)
        })
    }
}

/// Mean over the batch of -log softmax(logits) at the label. `logits` is `[batch, classes]`, `labels` `[batch]` of u32.
///
/// # Errors
/// Ranks, sizes or kinds that do not fit, a label that no class has (see [`Error`]; on a CUDA device such a label makes the loss
/// not a number instead, since looking at it would wait for the device).
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    const OP: &str = "cross_entropy";
    same_kind(OP, &[("logits", logits)])?;
    let (batch, classes) = match *logits.dims() {
        [batch, classes] if batch * classes > 0 => (batch, classes),
        _ => {
            let found = logits.dims().to_vec();
            return Err(Error::Shape {
                op: OP,
                argument: "logits",
                expected: "[batch, classes], at least 1 each".into(),
                found,
                remedy: "flatten it",
            }
            .into());
        }
    };
    if labels.dtype() != DType::U32 {
        return Err(Error::DType { op: OP, argument: "labels", expected: DType::U32, found: labels.dtype() }.into());
    }
    has_shape(OP, "labels", labels, &[batch])?;
    if !labels.device().same_device(logits.device()) {
        let [expected, found] = [logits, labels].map(|tensor| format!("{:?}", tensor.device().location()));
        return Err(Error::Device { op: OP, argument: "labels", expected, found }.into());
    }
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        return crate::cuda::losses::cross_entropy(logits, labels);
    }
    let labels = labels.to_vec1::<u32>()?;
    if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
        let expected = format!("below {classes}, the number of logits");
        return Err(Error::Parameter { op: OP, parameter: "a label", expected, found: label.to_string() }.into());
    }
    logits.contiguous()?.apply_op1(CrossEntropy { labels, classes })
}

struct CrossEntropy {
    labels: Vec<u32>,
    classes: usize,
}

/// log of the sum of the exponentials, without overflow.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    largest + logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum::<f64>().ln()
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let rows = contiguous(logits, layout)?.chunks_exact(self.classes).zip(&self.labels);
        let sum: f64 = rows.map(|(row, label)| log_sum_exp(row) - f64::from(row[*label as usize])).sum();
        Ok((CpuStorage::F32(vec![(sum / self.labels.len() as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let factor = f64::from(gradient.to_vec0::<f32>()?) / self.labels.len() as f64;
        with_elements(logits, |values| {
            let mut input = Vec::with_capacity(values.len());
            for (row, label) in values.chunks_exact(self.classes).zip(&self.labels) {
                let norm = log_sum_exp(row);
                let probability = |logit: &f32| (f64::from(*logit) - norm).exp();
                let is_label = |class: usize| f64::from(u8::from(class == *label as usize));
                input.extend(
                    row.iter().enumerate().map(|(class, logit)| (factor * (probability(logit) - is_label(class))) as f32),
                );
            }
            Tensor::from_vec(input, logits.dims(), &Device::Cpu).map(Some)
        })
    }
}

#[cfg(test)]
mod tests;
