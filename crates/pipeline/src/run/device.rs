//! The device on which a run computes.

use anyhow::Result;
use brainprior_kernels::{Precision, instruction_set};
use candle_core::Device;

/// A device for fitting, training and attacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The processors of this machine.
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
    /// The GPU in mixed precision: convolutions and matrix products round their factors to TF32 and
    /// accumulate in f32.
    CudaTf32,
}

impl DeviceName {
    /// Opens the device, which all tensors of the process must use.
    ///
    /// # Errors
    /// Returns an error with advice if there is no such device.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => cuda(false),
            Self::CudaTf32 => cuda(true),
        }
    }

    /// The name of an open device.
    pub(crate) fn of(device: &Device) -> Self {
        if device.is_cpu() {
            return Self::Cpu;
        }
        #[cfg(feature = "cuda")]
        if brainprior_kernels::cuda::tf32() {
            return Self::CudaTf32;
        }
        Self::Cuda
    }

    /// Name on the command line, in records and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::CudaTf32 => "cuda-tf32",
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda(tf32: bool) -> Result<Device> {
    brainprior_kernels::cuda::set_tf32(tf32);
    brainprior_kernels::cuda::device(0).map_err(|error| {
        // Only the first line: a backtrace may follow.
        let error = error.to_string();
        let error = error.lines().next().unwrap_or_default();
        anyhow::anyhow!(
            "no CUDA device: {error}; is there an NVIDIA GPU with a driver for CUDA 13? Without one, leave out --device"
        )
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_tf32: bool) -> Result<Device> {
    anyhow::bail!(
        "this program was built without CUDA; `cargo xtask` with --device cuda builds it with CUDA"
    )
}

/// Description of a device and of any computation that is not in f32.
pub(crate) fn described(device: &str, precision: Precision) -> String {
    match precision {
        Precision::F32 => device.to_owned(),
        Precision::Mixed => {
            format!("{device}, training in mixed precision by {}", instruction_set())
        }
    }
}
