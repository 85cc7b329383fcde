//! Checks that every operation makes of its arguments.

use crate::Error;
use candle_core::{CpuStorage, DType, Layout, Result, Tensor};

/// All tensors are f32 and lie on one device.
pub(crate) fn same_kind(op: &'static str, arguments: &[(&'static str, &Tensor)]) -> std::result::Result<(), Error> {
    let first = arguments[0].1.device();
    for (argument, tensor) in arguments {
        if tensor.dtype() != DType::F32 {
            return Err(Error::DType { op, argument, expected: DType::F32, found: tensor.dtype() });
        }
        if !tensor.device().same_device(first) {
            let (expected, found) = (format!("{:?}", first.location()), format!("{:?}", tensor.device().location()));
            return Err(Error::Device { op, argument, expected, found });
        }
    }
    Ok(())
}

/// The elements of a contiguous f32 tensor.
pub(crate) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| candle_core::Error::RequiresContiguous { op: "kernel" }.bt())?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}
