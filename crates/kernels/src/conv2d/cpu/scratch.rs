//! Buffers that every thread keeps for reuse.

use std::cell::RefCell;

/// The buffers of one task.
#[derive(Default)]
pub(super) struct Scratch {
    /// Padded images.
    pub source: Vec<f32>,
    /// Sums that are unfinished or not in their final order.
    pub sums: Vec<f32>,
    /// One phase of a result whose phases interleave, or one operand in another order.
    pub plane: Vec<f32>,
}

/// Buffers read by all tasks of a pass, kept by the thread that starts them.
#[derive(Default)]
pub(super) struct Shared {
    /// Transformed kernels, or their sums.
    pub kernels: Vec<f32>,
    /// Transformed images.
    pub tiles: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
thread_local!(static SHARED: RefCell<Shared> = RefCell::default());

/// Calls `work` with the thread's buffers, which still hold the data of the last task.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    // Taken and put back, so that a task that starts while another one waits gets its own buffers.
    let mut scratch = SCRATCH.take();
    let result = work(&mut scratch);
    SCRATCH.set(scratch);
    result
}

/// Calls `work` with the thread's shared buffers.
pub(super) fn with_shared<R>(work: impl FnOnce(&mut Shared) -> R) -> R {
    let mut shared = SHARED.take();
    let result = work(&mut shared);
    SHARED.set(shared);
    result
}

const CACHE_LINE_FLOATS: usize = 16;

/// The first `len` floats of the buffer from a cache line boundary on.
pub(super) fn aligned(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len + CACHE_LINE_FLOATS {
        buffer.resize(len + CACHE_LINE_FLOATS, 0.0);
    }
    let start = buffer.as_ptr().align_offset(64).min(CACHE_LINE_FLOATS);
    &mut buffer[start..start + len]
}
