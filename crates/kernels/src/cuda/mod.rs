//! NVIDIA devices: the device, its precision, and the launch of kernels.
//!
//! The kernels are those of this crate (`kernels/*.cu`) and of cuDNN. Each operation has a module
//! `cuda` in its folder, to which the public function passes its checked arguments. Images may be
//! stored as bf16; sums are f32 or wider, and learned values, positions and losses are f32.

pub(crate) mod launch;
pub(crate) mod layout;
pub(crate) mod precision;

pub use precision::{set_deterministic, set_tf32, tf32};

use crate::Error;
use candle_core::cuda::cudarc::driver::sys;
use candle_core::{Device, Result};

/// Channels and pixels of a row that a block owns when it gathers feature gradients, as in
/// `kernels/points.cu`.
pub(crate) const FEATURE_CHANNELS: u32 = 128;
pub(crate) const FEATURE_COLUMNS: u32 = 32;

/// The oldest CUDA version whose drivers load the kernels, as 1000 x major + 10 x minor: that of
/// the toolkit that compiles them (`xtask/cuda-toolkit.sh`).
const OLDEST: i32 = 13_000;

/// The device with this number, with one stream for all threads.
///
/// Candle's default is one stream per thread, without an order between streams. Tensors from two
/// calls cannot be mixed, so create one device and pass it on.
///
/// # Errors
/// Returns an error if there is no driver, the driver is too old, or the device is missing or
/// unusable.
pub fn device(ordinal: usize) -> Result<Device> {
    let mut version = 0;
    // SAFETY: the call writes one number and needs no previous call.
    let answer = unsafe { sys::cuDriverGetVersion(&mut version) };
    // Without a driver the next call returns the error.
    if answer == sys::CUresult::CUDA_SUCCESS && version < OLDEST {
        return Err(Error::Driver { major: version / 1000, minor: version % 1000 / 10 }.into());
    }
    let device = Device::new_cuda_with_stream(ordinal)?;
    // SAFETY: all work on this device is queued in one stream, and thus in program order.
    unsafe { device.as_cuda_device()?.disable_event_tracking() };
    Ok(device)
}
