//! What follows a convolution, applied to its results while they are in the cache.

use std::ops::Range;

/// A change of complete results, value by value.
pub(crate) trait Finish: Sync {
    /// Changes `values`, which have the indices `place` in the result and belong to one channel.
    fn finish(&self, channel: usize, place: Range<usize>, values: &mut [f32]);
}

/// The change, if there is one.
pub(super) type Finished<'a> = Option<&'a dyn Finish>;
