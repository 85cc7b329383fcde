//! The output nonlinearity of a response model.

use super::{PART, filled, here};
use crate::arguments::{contiguous, with_elements};
use crate::simd::vectorized;
use crate::uninit::{Uninit, written};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// ELU(x) + 1, which is positive: x + 1 above zero, exp(x) below; the derivative at 0 is the sum of
/// both sides.
///
/// # Errors
/// Returns an error only if memory runs out.
pub fn elu_rate(x: &Tensor) -> Result<Tensor> {
    if !here(&[x]) {
        // Uses relu on both sides because exp overflows for large x, which makes the gradient NaN.
        return x.relu()? + x.neg()?.relu()?.neg()?.exp()?;
    }
    x.contiguous()?.apply_op1(EluRate)
}

struct EluRate;

impl CustomOp1 for EluRate {
    fn name(&self) -> &'static str {
        "elu_rate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(x, layout)?;
        // SAFETY: the parts cover all values, and each part is written completely.
        let (y, ()) = unsafe {
            written(x.len(), |y| {
                y.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(y, x)| rates(x, y))
            })
        };
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_elements(x, |values| {
            with_elements(y, |rates| {
                with_elements(gradient, |gradient| {
                    filled(x, |first, to| {
                        let part = first..first + to.len();
                        slopes(&values[part.clone()], &rates[part.clone()], &gradient[part], to);
                    })
                })
            })
        })
        .map(Some)
    }
}

/// Uses the system's exponential, which has no vector version; it is not called where the result is
/// 1.
fn rates(x: &[f32], y: &mut [Uninit]) {
    for (y, x) in y.iter_mut().zip(x) {
        let below = if *x < 0.0 { x.exp() } else { 1.0 };
        y.write(x.max(0.0) + below);
    }
}

vectorized! {
    fn slopes(x: &[f32], y: &[f32], gradient: &[f32], to: &mut [Uninit]) {
        for (((to, x), y), g) in to.iter_mut().zip(x).zip(y).zip(gradient) {
            let exponential = if *x < 0.0 { *y } else { 1.0 };
            let above = if *x >= 0.0 { 1.0 } else { 0.0 };
            let below = if *x <= 0.0 { 1.0 } else { 0.0 };
            to.write(0.0 + g * above + g * exponential * below);
        }
    }
}
