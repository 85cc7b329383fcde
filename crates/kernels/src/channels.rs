//! Walking a `[batch, channels, area]` tensor by channel, and sums whose order is fixed.

/// The planes of each channel, image by image, to be written by different threads.
pub(crate) fn planes(values: &mut [f32], channels: usize, area: usize) -> Vec<Vec<&mut [f32]>> {
    let batch = values.len() / (channels * area);
    let mut by_channel: Vec<Vec<&mut [f32]>> = (0..channels).map(|_| Vec::with_capacity(batch)).collect();
    for (index, plane) in values.chunks_exact_mut(area).enumerate() {
        by_channel[index % channels].push(plane);
    }
    by_channel
}

const LANES: usize = 16;
/// Terms that are summed in f32 within a lane before the lanes go to f64.
const BLOCK: usize = 32 * LANES;

/// Sum of `f` over the values: sixteen lanes in f32 over short blocks, blocks in f64, always in the same order.
#[inline(always)]
pub(crate) fn sum_by(values: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(BLOCK) {
        let mut lanes = [0.0f32; LANES];
        let chunks = block.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += f(*value);
            }
        }
        for (lane, value) in lanes.iter_mut().zip(rest) {
            *lane += f(*value);
        }
        total += lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
    }
    total
}

/// Sum of `f` over pairs of values, as [`sum_by`].
#[inline(always)]
pub(crate) fn sum_by_pairs(left: &[f32], right: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut total = 0.0;
    for (left, right) in left.chunks(BLOCK).zip(right.chunks(BLOCK)) {
        let mut lanes = [0.0f32; LANES];
        for (left, right) in left.chunks(LANES).zip(right.chunks(LANES)) {
            for ((lane, a), b) in lanes.iter_mut().zip(left).zip(right) {
                *lane += f(*a, *b);
            }
        }
        total += lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
    }
    total
}
