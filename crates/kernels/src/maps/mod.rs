//! Elementwise maps of response models, with one pass forward and one back. Candle's graph would
//! need several tensors in each direction, and zeros and an addition for the gradient of each. The
//! results have the same bits as candle's.

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

/// Values per thread and write.
const PART: usize = 1 << 14;

/// Whether all tensors are f32 and on the CPU; otherwise candle's operations are used.
fn here(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::F32)
}

/// A tensor like another one, whose parts are written by `fill`, which receives the index of the
/// first value and the part.
fn filled(like: &Tensor, fill: impl Fn(usize, &mut [Uninit]) + Sync) -> Result<Tensor> {
    // SAFETY: the parts cover all values, and every `fill` of this module writes its part
    // completely.
    let (values, ()) = unsafe {
        written(like.elem_count(), |to| {
            to.par_chunks_mut(PART).enumerate().for_each(|(part, to)| fill(part * PART, to));
        })
    };
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}
