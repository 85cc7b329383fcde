//! Results that are written once.

/// Values that are still to be written, every one, before any is read. Filling large results with zeros first would write
/// them twice, and by one thread. In this crate's tests they are not numbers, so that one that was forgotten shows.
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    if cfg!(test) {
        return vec![f32::NAN; len];
    }
    let mut values = Vec::with_capacity(len);
    // SAFETY: the memory is there, any bits in it are a number or none, and the caller writes all of it before it reads.
    #[allow(clippy::uninit_vec, reason = "callers write every value before they read any")]
    unsafe {
        values.set_len(len);
    }
    values
}
