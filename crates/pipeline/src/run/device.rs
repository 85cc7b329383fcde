//! The device that was asked for.

use anyhow::Result;
use brainprior_kernels::{Precision, instruction_set};
use candle_core::Device;

/// Where models are fitted, networks trained and attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// This machine's processors.
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
    /// The same in mixed precision: convolutions and matrix products round their factors to TF32 and add up in f32.
    CudaTf32,
}

impl DeviceName {
    /// Opens the device; every tensor of the process is to be made on this one.
    ///
    /// # Errors
    /// No such device, and what to do about it.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => cuda(false),
            Self::CudaTf32 => cuda(true),
        }
    }

    /// Which of them an open device is.
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

    /// As on the command line, in records and in results.
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
        // The first line: a backtrace may follow it.
        let error = error.to_string();
        let error = error.lines().next().unwrap_or_default();
        anyhow::anyhow!(
            "no CUDA device: {error}; is there an NVIDIA GPU with a driver for CUDA 13? Without one, leave out --device"
        )
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_tf32: bool) -> Result<Device> {
    anyhow::bail!("this program was built without CUDA; `cargo xtask` builds it with, where the command line has --device cuda")
}

/// A device, and what is computed there in other than f32.
pub(crate) fn described(device: &str, precision: Precision) -> String {
    match precision {
        Precision::F32 => device.to_owned(),
        Precision::Mixed => format!("{device}, training in mixed precision by {}", instruction_set()),
    }
}
