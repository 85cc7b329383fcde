//! Argument checks shared by all operations.

use crate::Error;
use crate::simd::Isa;
use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor};

/// Arguments by name.
type Arguments<'a> = [(&'static str, &'a Tensor)];

/// Checks that the requested vector instructions exist, and that all tensors are f32, on one device
/// and addressable.
pub(crate) fn same_kind(op: &'static str, arguments: &Arguments) -> std::result::Result<(), Error> {
    stored_kind(op, &[], arguments)
}

/// Like [`same_kind`], but on a CUDA device `images` may also be bf16, if all of them are.
pub(crate) fn stored_kind(
    op: &'static str,
    images: &Arguments,
    others: &Arguments,
) -> std::result::Result<(), Error> {
    Isa::chosen()?;
    let first = images.iter().chain(others).next().expect("an operation has arguments").1;
    let stored = if first.device().is_cuda() && first.dtype() == DType::BF16 {
        DType::BF16
    } else {
        DType::F32
    };
    let expected = images
        .iter()
        .map(|argument| (argument, stored))
        .chain(others.iter().map(|argument| (argument, DType::F32)));
    let first = first.device();
    for ((argument, tensor), expected) in expected {
        if tensor.dtype() != expected {
            return Err(Error::DType { op, argument, expected, found: tensor.dtype() });
        }
        if !tensor.device().same_device(first) {
            let (expected, found) =
                (format!("{:?}", first.location()), format!("{:?}", tensor.device().location()));
            return Err(Error::Device { op, argument, expected, found });
        }
        let bytes = tensor
            .dims()
            .iter()
            .try_fold(size_of::<f32>(), |product, size| product.checked_mul(*size));
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) && !tensor.dims().contains(&0) {
            return Err(Error::Overflow { op, what: argument });
        }
    }
    Ok(())
}

/// The elements of a contiguous f32 tensor.
pub(crate) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::RequiresContiguous { op: "kernel" }.bt())?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Calls `work` with the elements of a CPU tensor, in order.
pub(crate) fn with_elements<R>(
    tensor: &Tensor,
    work: impl FnOnce(&[f32]) -> Result<R>,
) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => work(contiguous(storage, layout)?),
        _ => candle_core::bail!(
            "this operation has no implementation for {:?}",
            tensor.device().location()
        ),
    }
}

/// Calls `work` with the elements of several CPU tensors, each in order.
pub(crate) fn with_all_elements<R>(
    tensors: &[Tensor],
    work: impl FnOnce(&[&[f32]]) -> Result<R>,
) -> Result<R> {
    let tensors = tensors.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    let held: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let elements = held.iter().map(|(storage, layout)| match &**storage {
        Storage::Cpu(storage) => contiguous(storage, layout),
        _ => candle_core::bail!(
            "this operation has no implementation for devices other than the CPU"
        ),
    });
    work(&elements.collect::<Result<Vec<_>>>()?)
}

/// The four sizes of an image tensor; none may be 0.
pub(crate) fn image_sizes(
    op: &'static str,
    argument: &'static str,
    tensor: &Tensor,
) -> std::result::Result<[usize; 4], Error> {
    match *tensor.dims() {
        [batch, channels, height, width] if !tensor.dims().contains(&0) => {
            Ok([batch, channels, height, width])
        }
        _ => Err(Error::Shape {
            op,
            argument,
            expected: "[batch, channels, height, width], at least 1 each".into(),
            found: tensor.dims().to_vec(),
            remedy: "reshape it, and leave out empty batches",
        }),
    }
}

/// Checks that a tensor has exactly this shape.
pub(crate) fn has_shape(
    op: &'static str,
    argument: &'static str,
    tensor: &Tensor,
    shape: &[usize],
) -> std::result::Result<(), Error> {
    if tensor.dims() == shape {
        return Ok(());
    }
    let remedy = "reshape it, or match the other arguments";
    Err(Error::Shape {
        op,
        argument,
        expected: format!("{shape:?}"),
        found: tensor.dims().to_vec(),
        remedy,
    })
}
