//! Changes the elements of a tensor in place.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};
use std::cell::Cell;

/// Lets `work` change the elements. All tensors that share the memory see the change.
///
/// # Errors
/// Returns an error if the tensor is not contiguous, not f32 or not on the CPU.
pub(crate) fn change(
    tensor: &Tensor,
    name: &'static str,
    work: impl FnOnce(&mut [f32]),
) -> Result<()> {
    tensor.inplace_op1(&InPlace { name, work: Cell::new(Some(work)) })
}

/// Runs once.
struct InPlace<F> {
    name: &'static str,
    work: Cell<Option<F>>,
}

impl<F: FnOnce(&mut [f32])> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match (storage, layout.contiguous_offsets(), self.work.take()) {
            (CpuStorage::F32(values), Some((start, end)), Some(work)) => {
                work(&mut values[start..end]);
                Ok(())
            }
            _ => candle_core::bail!(
                "{}: only a contiguous f32 tensor can be changed in place",
                self.name
            ),
        }
    }
}
