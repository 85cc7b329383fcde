//! Uninitialized buffers. Zeroing large results first would write them twice, and on one thread.

use std::mem::MaybeUninit;

/// An uninitialized f32.
pub(crate) type Uninit = MaybeUninit<f32>;

/// An uninitialized bfloat16, as bits.
pub(crate) type Uninit16 = MaybeUninit<u16>;

/// Element types of results.
pub(crate) trait Element: Copy {
    /// Fills new buffers in this crate's tests: NaN.
    #[cfg(test)]
    const FORGOTTEN: Self;
}

impl Element for f32 {
    #[cfg(test)]
    const FORGOTTEN: Self = f32::NAN;
}

impl Element for u16 {
    #[cfg(test)]
    const FORGOTTEN: Self = 0x7fc0;
}

/// Allocates `len` values, lets `write` write them, and returns them with its result. In this
/// crate's tests the buffer is filled with NaN before, to reveal elements that were not written.
///
/// # Safety
///
/// `write` must write every element or not return.
pub(crate) unsafe fn written<T: Element, R>(
    len: usize,
    write: impl FnOnce(&mut [MaybeUninit<T>]) -> R,
) -> (Vec<T>, R) {
    let mut values = Vec::with_capacity(len);
    let room = &mut values.spare_capacity_mut()[..len];
    #[cfg(test)]
    room.fill(MaybeUninit::new(T::FORGOTTEN));
    let returned = write(room);
    // SAFETY: the capacity suffices, and the caller guarantees that every element is written.
    unsafe { values.set_len(len) };
    (values, returned)
}

/// An f32 that is written, initialized or not. Loops that only write are generic over it.
///
/// # Safety
///
/// The type must have the layout of f32, and every f32 must be a valid value.
pub(crate) unsafe trait Place: Copy + Send {
    fn of(value: f32) -> Self;
}

// SAFETY: it is an f32.
unsafe impl Place for f32 {
    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }
}

// SAFETY: `MaybeUninit<f32>` has the layout of f32.
unsafe impl Place for Uninit {
    #[inline(always)]
    fn of(value: f32) -> Self {
        Self::new(value)
    }
}

/// Reads a buffer that was written.
///
/// # Safety
///
/// Every element must have been written.
pub(crate) unsafe fn assume_written(values: &[Uninit]) -> &[f32] {
    // SAFETY: the layout and the borrow are the same, and the caller guarantees the elements.
    unsafe { &*(std::ptr::from_ref(values) as *const [f32]) }
}

/// Like [`assume_written`], but mutable.
///
/// # Safety
///
/// Every element must have been written.
pub(crate) unsafe fn assume_written_mut(values: &mut [Uninit]) -> &mut [f32] {
    // SAFETY: as in `assume_written`; only floats can be written through the result.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [f32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_returned_and_what_is_forgotten_shows() {
        // SAFETY: every element is written, and in tests the buffer is filled before.
        let (values, returned) = unsafe {
            written(3, |room: &mut [Uninit]| {
                room[0].write(1.0);
                room[2] = Place::of(3.0);
                assume_written_mut(&mut room[..1])[0] += 1.0;
                assume_written(&room[..1])[0]
            })
        };
        assert_eq!((values[0], values[2], returned), (2.0, 3.0, 2.0));
        assert!(values[1].is_nan());
    }
}
