//! Launching kernels: sizes, views of tensors, new tensors, and the launch itself.

use crate::Error;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, DeviceRepr, LaunchConfig};
use candle_core::cuda::{CudaDType, CudaDevice, CudaStorage};
use candle_core::op::BackpropOp;
use candle_core::{DType, Layout, Result, Shape, Storage, StorageRef, Tensor};

/// Threads per block, as in `kernels/common.cuh`.
pub(crate) const THREADS: u32 = 256;

/// A storage type of tensors; sums are always f32 or wider.
pub(crate) trait Stored: CudaDType + DeviceRepr + 'static {
    /// The suffix of its kernel names.
    const SUFFIX: &'static str;
}

impl Stored for f32 {
    const SUFFIX: &'static str = "f32";
}

impl Stored for half::bf16 {
    const SUFFIX: &'static str = "bf16";
}

/// Evaluates a generic expression for the type of a tensor. The checks of the operations exclude
/// other types.
macro_rules! by_type {
    ($dtype:expr, $type:ident => $call:expr) => {
        match $dtype {
            candle_core::DType::BF16 => {
                type $type = half::bf16;
                $call
            }
            _ => {
                type $type = f32;
                $call
            }
        }
    };
}
pub(crate) use by_type;

/// A PTX module.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    pub(crate) ptx: &'static str,
}

/// The module of `kernels/<name>.cu`.
macro_rules! module {
    ($name:literal) => {
        $crate::cuda::launch::Module {
            name: concat!("brainprior-", $name),
            ptx: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".ptx")),
        }
    };
}
pub(crate) use module;

/// Launches a kernel of a module: first its inputs, in the order of its parameters, then its
/// outputs.
///
/// # Safety
/// Types and order must match the kernel, and lengths must keep it within its buffers.
macro_rules! launch {
    ($device:expr, $module:expr, $name:expr, $config:expr, ($($input:expr),* $(,)?) => ($($output:expr),* $(,)?)) => {{
        use candle_core::cuda::cudarc::driver::PushKernelArg;
        let name: &str = $name;
        let function = $device.get_or_load_custom_func(name, $module.name, $module.ptx)?;
        let mut builder = function.builder();
        $(
            let input = $input;
            builder.arg(&input);
        )*
        $(
            let output: &mut _ = $output;
            builder.arg(output);
        )*
        builder.launch($config).map_err(|error| $crate::cuda::launch::failed(name, error))?;
    }};
}
pub(crate) use launch;

/// Wraps a driver error of a launch.
pub(crate) fn failed(
    kernel: &str,
    error: candle_core::cuda::cudarc::driver::DriverError,
) -> candle_core::Error {
    candle_core::Error::wrap(error).context(format!("kernel {kernel}"))
}

/// At least `threads` threads, in blocks of [`THREADS`].
pub(crate) fn over(threads: u32) -> LaunchConfig {
    grid(threads.div_ceil(THREADS), 1)
}

/// A grid of blocks of [`THREADS`].
pub(crate) fn grid(across: u32, down: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (across, down, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// Blocks with the given number of threads.
pub(crate) fn blocks_of(blocks: u32, threads: (u32, u32)) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (blocks, 1, 1),
        block_dim: (threads.0, threads.1, 1),
        shared_mem_bytes: 0,
    }
}

/// A size as kernels take it: 31 bits, since elements are numbered with 32 bits and one is kept
/// free.
pub(crate) fn size(
    op: &'static str,
    what: &'static str,
    value: usize,
) -> std::result::Result<u32, Error> {
    match u32::try_from(value) {
        Ok(value) if value <= i32::MAX as u32 => Ok(value),
        _ => Err(Error::Overflow { op, what }),
    }
}

/// A contiguous tensor, held during a kernel launch.
pub(crate) struct Held<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Held<'a> {
    pub(crate) fn new(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage, layout }
    }

    pub(crate) fn device(&self) -> Result<&CudaDevice> {
        Ok(&self.cuda()?.device)
    }

    fn cuda(&self) -> Result<&CudaStorage> {
        match &*self.storage {
            Storage::Cuda(storage) => Ok(storage),
            _ => candle_core::bail!("an operation on a CUDA device got a tensor on another device"),
        }
    }

    pub(crate) fn view<T: CudaDType>(&self) -> Result<CudaView<'_, T>> {
        view(self.cuda()?, self.layout)
    }
}

/// Elements that can be read at once if runs of `run` are contiguous: 4 if every layout is aligned
/// to that, else 1.
pub(crate) fn width(run: u32, layouts: &[&Layout]) -> u32 {
    let aligned = layouts.iter().all(|layout| layout.start_offset().is_multiple_of(4));
    if aligned && run.is_multiple_of(4) { 4 } else { 1 }
}

/// Divides `count` values of each of `rows` into stretches that blocks sum; returns their number
/// and length. There are enough to keep a large device busy, none is too short, and lengths are
/// multiples of 4, so that no pack is split.
pub(crate) fn stretches(rows: u32, count: u32) -> (u32, u32) {
    const BUSY: u32 = 1024;
    const SHORTEST: u32 = 4096;
    let most = BUSY.div_ceil(rows).min(count.div_ceil(SHORTEST));
    let length = count.div_ceil(most).next_multiple_of(4);
    (count.div_ceil(length), length)
}

/// The data type of a tensor on the device.
pub(crate) fn dtype(storage: &CudaStorage) -> DType {
    candle_core::backend::BackendStorage::dtype(storage)
}

/// The elements of a contiguous layout.
pub(crate) fn view<'a, T: CudaDType>(
    storage: &'a CudaStorage,
    layout: &Layout,
) -> Result<CudaView<'a, T>> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| candle_core::Error::RequiresContiguous { op: "kernel" }.bt())?;
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}

/// An uninitialized buffer of `count` values, which the next kernel must write completely.
pub(crate) fn room<T: DeviceRepr>(device: &CudaDevice, count: usize) -> Result<CudaSlice<T>> {
    // SAFETY: plain numbers, which are written before they are read.
    unsafe { device.alloc::<T>(count) }
}

/// A tensor of values that a kernel wrote.
pub(crate) fn tensor<T: CudaDType>(
    values: CudaSlice<T>,
    device: &CudaDevice,
    shape: impl Into<Shape>,
) -> Tensor {
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(values, device.clone()));
    Tensor::from_storage(storage, shape, BackpropOp::none(), false)
}

/// The CPU part of a custom operation's interface, for operations on CUDA devices. Needs the
/// operation's name in `OP`.
macro_rules! not_on_the_cpu {
    ($($argument:ident: $type:ty),*) => {
        fn cpu_fwd(&self, $($argument: $type),*) -> candle_core::Result<(candle_core::CpuStorage, candle_core::Shape)> {
            candle_core::bail!("{OP}: this operation runs only on CUDA devices")
        }
    };
}
pub(crate) use not_on_the_cpu;
