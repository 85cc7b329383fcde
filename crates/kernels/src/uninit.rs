//! Results that are written once. Filling large results with zeros first would write them twice, and by one thread.

use std::mem::MaybeUninit;

/// Room for a float that is still to be written.
pub(crate) type Uninit = MaybeUninit<f32>;

/// Room for the bits of a bfloat16 number.
pub(crate) type Uninit16 = MaybeUninit<u16>;

/// What results are made of.
pub(crate) trait Element: Copy {
    /// What the room holds in this crate's tests before it is written: not a number.
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

/// The `len` values that `write` writes, and what it returns. In this crate's tests the room holds what is not a number
/// beforehand, so that a value that was forgotten shows.
///
/// # Safety
///
/// `write` writes every value, or does not return.
pub(crate) unsafe fn written<T: Element, R>(len: usize, write: impl FnOnce(&mut [MaybeUninit<T>]) -> R) -> (Vec<T>, R) {
    let mut values = Vec::with_capacity(len);
    let room = &mut values.spare_capacity_mut()[..len];
    #[cfg(test)]
    room.fill(MaybeUninit::new(T::FORGOTTEN));
    let returned = write(room);
    // SAFETY: there is room for so many, and the caller vouches that all are written.
    unsafe { values.set_len(len) };
    (values, returned)
}

/// Where a float is written: a place that holds one, or room for one. Loops that only write are generic over it.
///
/// # Safety
///
/// The type has the layout of f32, and every f32 is one of its values.
pub(crate) unsafe trait Place: Copy + Send {
    fn of(value: f32) -> Self;
}

// SAFETY: it is one.
unsafe impl Place for f32 {
    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }
}

// SAFETY: `MaybeUninit` has the layout of what it holds.
unsafe impl Place for Uninit {
    #[inline(always)]
    fn of(value: f32) -> Self {
        Self::new(value)
    }
}

/// The values that were written.
///
/// # Safety
///
/// All were.
pub(crate) unsafe fn assume_written(values: &[Uninit]) -> &[f32] {
    // SAFETY: the layout is the same, the borrow too, and the caller vouches for the values.
    unsafe { &*(std::ptr::from_ref(values) as *const [f32]) }
}

/// Likewise, to go on with.
///
/// # Safety
///
/// All were written.
pub(crate) unsafe fn assume_written_mut(values: &mut [Uninit]) -> &mut [f32] {
    // SAFETY: as in `assume_written`; what is written through the result is a float again.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [f32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_returned_and_what_is_forgotten_shows() {
        // SAFETY: all are written; in tests, the room holds values beforehand.
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
