//! What every operation needs in order to run kernels: sizes, views of tensors, new tensors, and the launch itself.

use crate::Error;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, DeviceRepr, LaunchConfig};
use candle_core::cuda::{CudaDType, CudaDevice, CudaStorage};
use candle_core::op::BackpropOp;
use candle_core::{DType, Layout, Result, Shape, Storage, StorageRef, Tensor};

/// Threads of a block, as in `kernels/common.cuh`.
pub(crate) const THREADS: u32 = 256;

/// A type that tensors are stored as; sums are taken in f32 or wider whatever it is.
pub(crate) trait Stored: CudaDType + DeviceRepr + 'static {
    /// What the names of its kernels end with.
    const SUFFIX: &'static str;
}

impl Stored for f32 {
    const SUFFIX: &'static str = "f32";
}

impl Stored for half::bf16 {
    const SUFFIX: &'static str = "bf16";
}

/// Runs a generic expression for the type that a tensor is stored as. The checks of the operations let no other in.
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

/// A source of kernels in PTX.
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

/// Launches a kernel of a module: first what it reads, in the order of its parameters, then what it writes.
///
/// # Safety
/// Types and order must be those of the kernel, and lengths such that it stays within them.
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

/// What the driver said about a launch.
pub(crate) fn failed(kernel: &str, error: candle_core::cuda::cudarc::driver::DriverError) -> candle_core::Error {
    candle_core::Error::wrap(error).context(format!("kernel {kernel}"))
}

/// At least so many threads, in blocks of [`THREADS`].
pub(crate) fn over(threads: u32) -> LaunchConfig {
    grid(threads.div_ceil(THREADS), 1)
}

/// A grid of blocks of [`THREADS`].
pub(crate) fn grid(across: u32, down: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (across, down, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// Blocks of so many threads.
pub(crate) fn blocks_of(blocks: u32, threads: (u32, u32)) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (threads.0, threads.1, 1), shared_mem_bytes: 0 }
}

/// A size as kernels take it: they number elements with 32 bits, of which one is kept free.
pub(crate) fn size(op: &'static str, what: &'static str, value: usize) -> std::result::Result<u32, Error> {
    match u32::try_from(value) {
        Ok(value) if value <= i32::MAX as u32 => Ok(value),
        _ => Err(Error::Overflow { op, what }),
    }
}

/// A contiguous tensor, held while a kernel is launched on it.
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
            _ => candle_core::bail!("a tensor of an operation on a CUDA device is elsewhere"),
        }
    }

    pub(crate) fn view<T: CudaDType>(&self) -> Result<CudaView<'_, T>> {
        view(self.cuda()?, self.layout)
    }
}

/// Elements that can be read at once where runs of `run` belong together: 4 where every layout starts so aligned, else 1.
pub(crate) fn width(run: u32, layouts: &[&Layout]) -> u32 {
    let aligned = layouts.iter().all(|layout| layout.start_offset().is_multiple_of(4));
    if aligned && run.is_multiple_of(4) { 4 } else { 1 }
}

/// How `count` values of each of `rows` are divided into stretches that blocks add up: how many, and how long these are.
/// Enough to keep a large device busy, none too short; multiples of 4, so that no pack is cut.
pub(crate) fn stretches(rows: u32, count: u32) -> (u32, u32) {
    const BUSY: u32 = 1024;
    const SHORTEST: u32 = 4096;
    let most = BUSY.div_ceil(rows).min(count.div_ceil(SHORTEST));
    let length = count.div_ceil(most).next_multiple_of(4);
    (count.div_ceil(length), length)
}

/// What a tensor on the device is stored as.
pub(crate) fn dtype(storage: &CudaStorage) -> DType {
    candle_core::backend::BackendStorage::dtype(storage)
}

/// The elements of a contiguous layout.
pub(crate) fn view<'a, T: CudaDType>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| candle_core::Error::RequiresContiguous { op: "kernel" }.bt())?;
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}

/// Room for so many values, which the next kernel writes, every one.
pub(crate) fn room<T: DeviceRepr>(device: &CudaDevice, count: usize) -> Result<CudaSlice<T>> {
    // SAFETY: plain numbers, that are written before anything reads them.
    unsafe { device.alloc::<T>(count) }
}

/// A tensor of values that a kernel wrote.
pub(crate) fn tensor<T: CudaDType>(values: CudaSlice<T>, device: &CudaDevice, shape: impl Into<Shape>) -> Tensor {
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(values, device.clone()));
    Tensor::from_storage(storage, shape, BackpropOp::none(), false)
}

/// The part of a custom operation's interface that an operation for this device does not have. Needs its name in `OP`.
macro_rules! not_on_the_cpu {
    ($($argument:ident: $type:ty),*) => {
        fn cpu_fwd(&self, $($argument: $type),*) -> candle_core::Result<(candle_core::CpuStorage, candle_core::Shape)> {
            candle_core::bail!("{OP}: this is the operation for CUDA devices")
        }
    };
}
pub(crate) use not_on_the_cpu;
