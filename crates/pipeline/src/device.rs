//! The device that was asked for.

use crate::command_line::DeviceName;
use anyhow::Result;
use candle_core::Device;

/// Opens the device; every tensor of the process is to be made on this one.
///
/// # Errors
/// No such device, and what to do about it.
pub fn open(name: DeviceName) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::Cpu),
        DeviceName::Cuda => cuda(false),
        DeviceName::CudaTf32 => cuda(true),
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

/// As it is written into records and results.
pub fn name(device: &Device) -> &'static str {
    if device.is_cpu() {
        return spelled(DeviceName::Cpu);
    }
    #[cfg(feature = "cuda")]
    if brainprior_kernels::cuda::tf32() {
        return spelled(DeviceName::CudaTf32);
    }
    spelled(DeviceName::Cuda)
}

/// As on the command line.
pub fn spelled(name: DeviceName) -> &'static str {
    match name {
        DeviceName::Cpu => "cpu",
        DeviceName::Cuda => "cuda",
        DeviceName::CudaTf32 => "cuda-tf32",
    }
}
