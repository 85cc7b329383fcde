//! Losses at the end of a forward pass, one operation each.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::arguments::{has_shape, same_kind, with_elements};
use candle_core::{DType, Result, Tensor};
use cpu::{ArctanhSquared, CrossEntropy};

/// Similarities are clamped to this distance from -1 and 1, so that arctanh is finite
/// (`docs/method.md`, "Regularized training").
pub const CLAMP: f64 = 1e-5;

/// `scale * mean over pairs of (arctanh s - arctanh t)^2` (section 3.2 of Li et al. 2019), with
/// both clamped to magnitude 1 - [`CLAMP`]; no gradient where s is clamped. `similarity` and
/// `target` are `[pairs]`; the target has no gradient.
///
/// # Errors
/// Returns [`Error`] if ranks, sizes or types do not match.
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
        return cuda::arctanh_squared_loss(similarity, target, scale);
    }
    let target = with_elements(target, |target| Ok(target.to_vec()))?;
    similarity.contiguous()?.apply_op1(ArctanhSquared { target, scale })
}

/// Mean over the batch of -log softmax(logits) at the label. `logits` is `[batch, classes]`,
/// `labels` is `[batch]`, u32.
///
/// # Errors
/// Returns [`Error`] if ranks, sizes or types do not match, or a label is not a class. On a CUDA
/// device such a label makes the loss NaN instead, since an error would require waiting for the
/// device.
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
        return Err(Error::DType {
            op: OP,
            argument: "labels",
            expected: DType::U32,
            found: labels.dtype(),
        }
        .into());
    }
    has_shape(OP, "labels", labels, &[batch])?;
    if !labels.device().same_device(logits.device()) {
        let [expected, found] =
            [logits, labels].map(|tensor| format!("{:?}", tensor.device().location()));
        return Err(Error::Device { op: OP, argument: "labels", expected, found }.into());
    }
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        return cuda::cross_entropy(logits, labels);
    }
    let labels = labels.to_vec1::<u32>()?;
    if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
        let expected = format!("below {classes}, the number of logits");
        return Err(Error::Parameter {
            op: OP,
            parameter: "a label",
            expected,
            found: label.to_string(),
        }
        .into());
    }
    logits.contiguous()?.apply_op1(CrossEntropy { labels, classes })
}
