//! The sum of an L1 penalty.

use super::{filled, here};
use crate::arguments::with_elements;
use crate::autograd::collected;
use crate::simd::vectorized;
use crate::uninit::Uninit;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Sum of the absolute values, a scalar; the derivative at 0 is 1.
///
/// # Errors
/// Returns an error only if memory runs out.
pub fn absolute_sum(x: &Tensor) -> Result<Tensor> {
    if !(here(&[x]) && x.is_contiguous() && x.track_op()) {
        return x.abs()?.sum_all();
    }
    let sum = x.detach().abs()?.sum_all()?.to_scalar()?;
    x.apply_op1(AbsoluteSum(sum))
}

struct AbsoluteSum(f32);

impl CustomOp1 for AbsoluteSum {
    fn name(&self) -> &'static str {
        "absolute_sum"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![self.0]), Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.to_scalar()?;
        let of_x = with_elements(x, |values| {
            filled(x, |first, to| slopes(&values[first..first + to.len()], gradient, to))
        })?;
        collected(x, of_x)
    }
}

vectorized! {
    fn slopes(x: &[f32], gradient: f32, to: &mut [Uninit]) {
        for (to, x) in to.iter_mut().zip(x) {
            let sign = if *x >= 0.0 { 1.0 } else { -1.0 };
            to.write(0.0 + gradient * sign);
        }
    }
}
