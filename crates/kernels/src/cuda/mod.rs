//! The devices of NVIDIA: the device itself, how exact it is, and what the operations launch their kernels with.
//!
//! The kernels are those of this crate (`kernels/*.cu`) and of cuDNN. Each operation has its own in a module `cuda` of its folder,
//! which the public function hands its checked arguments to. Images may be stored as bf16; sums are taken in f32 or wider, and
//! learned values, positions and losses are f32.

pub(crate) mod launch;
pub(crate) mod layout;
pub(crate) mod precision;

pub use precision::{set_deterministic, set_tf32, tf32};

use crate::Error;
use candle_core::cuda::cudarc::driver::sys;
use candle_core::{Device, Result};

/// Channels and pixels of a row that a block owns when features' gradients are gathered, as in `kernels/points.cu`.
pub(crate) const FEATURE_CHANNELS: u32 = 128;
pub(crate) const FEATURE_COLUMNS: u32 = 32;

/// The oldest version of CUDA whose drivers load the kernels, 1000 times the major number and 10 times the minor one: that of the
/// toolkit which compiles them (`xtask/cuda-toolkit.sh`).
const OLDEST: i32 = 13_000;

/// The device of this number, with one queue of work for all threads.
///
/// Candle's own default is a queue for each thread, whose orders among each other nothing keeps. Tensors of two calls cannot
/// be mixed: make one device and pass it on.
///
/// # Errors
/// No driver or one that is too old, no such device, or one that cannot be used.
pub fn device(ordinal: usize) -> Result<Device> {
    let mut version = 0;
    // SAFETY: the call writes one number. It needs no other call before it.
    let answer = unsafe { sys::cuDriverGetVersion(&mut version) };
    // Without a driver the next call says so.
    if answer == sys::CUresult::CUDA_SUCCESS && version < OLDEST {
        return Err(Error::Driver { major: version / 1000, minor: version % 1000 / 10 }.into());
    }
    let device = Device::new_cuda_with_stream(ordinal)?;
    // SAFETY: everything on this device is queued in its one stream, and so in the order of the program.
    unsafe { device.as_cuda_device()?.disable_event_tracking() };
    Ok(device)
}
