//! Maps over elements that a response model is made of, each one pass forward and one back. Candle's own graph makes the same of
//! several tensors each way, and of zeros and a sum for the gradient of each; what it computes is computed here, to the same bits.

mod absolute_sum;
mod elu_rate;
mod moving_average;
mod places;
mod poisson;
#[cfg(test)]
mod tests;

pub use absolute_sum::absolute_sum;
pub use elu_rate::elu_rate;
pub use moving_average::moving_average;
pub use places::{moved, rescaled};
pub use poisson::poisson_loss;

use crate::uninit::{Uninit, written};
use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

/// Values that one thread writes at a time.
const PART: usize = 1 << 14;

/// Whether all tensors are of f32 and on the CPU; elsewhere candle's operations do the work.
fn here(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::F32)
}

/// A tensor like another one, whose parts `fill` writes: it is given the first value of a part, and the part.
fn filled(like: &Tensor, fill: impl Fn(usize, &mut [Uninit]) + Sync) -> Result<Tensor> {
    // SAFETY: the parts are all values, and every `fill` of this module writes its part from end to end.
    let (values, ()) = unsafe {
        written(like.elem_count(), |to| {
            to.par_chunks_mut(PART).enumerate().for_each(|(part, to)| fill(part * PART, to));
        })
    };
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}
