//! The operations on the devices of NVIDIA, by kernels of this crate (`kernels/*.cu`) and by cuDNN.
//!
//! A module for each operation, which the public function hands its checked arguments to. Images may be stored as bf16; sums
//! are taken in f32 or wider, and learned values, positions and losses are f32.

pub(crate) mod batch_norm;
pub(crate) mod convolution;
pub(crate) mod grid_sample;
mod launch;
mod layout;
pub(crate) mod losses;
pub(crate) mod optimiser;
pub(crate) mod pair_cosine;
pub(crate) mod point_readout;
pub(crate) mod pooling;

pub use convolution::{set_deterministic, set_tf32, tf32};

use candle_core::{Device, Result};

/// Channels and pixels of a row that a block owns when features' gradients are gathered, as in `kernels/points.cu`.
const FEATURE_CHANNELS: u32 = 128;
const FEATURE_COLUMNS: u32 = 32;

/// The device of this number, with one queue of work for all threads.
///
/// Candle's own default is a queue for each thread, whose orders among each other nothing keeps. Tensors of two calls cannot
/// be mixed: make one device and pass it on.
///
/// # Errors
/// No driver, no such device, or one that cannot be used.
pub fn device(ordinal: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    // SAFETY: everything on this device is queued in its one stream, and so in the order of the program.
    unsafe { device.as_cuda_device()?.disable_event_tracking() };
    Ok(device)
}
