//! Padded chunks of images, in a layout where neighboring outputs read neighboring pixels whatever
//! the stride.

use super::super::padded_image::PaddedImage;
use super::dots::CHUNK;

/// Pixels after the last chunk that a kernel may read (without using them), beyond two rows of
/// outputs.
const SLACK: usize = 16;

/// Size of a buffer for `chunks` chunks, in numbers.
pub(super) fn buffer(padded: &PaddedImage, chunks: usize) -> usize {
    (chunks * padded.plane() + 2 * padded.stride * padded.row() + SLACK) * CHUNK
}

/// Writes the chunks of an image one after the other, followed by zeros.
pub(super) fn fill(padded: &PaddedImage, image: &[u16], to: &mut [u16]) {
    let f = padded;
    let (runs, step) = (f.runs(), f.stride * f.every);
    let chunks = image.len() / (f.height * f.width * CHUNK);
    let (to, slack) = to.split_at_mut(chunks * f.plane() * CHUNK);
    slack.fill(0);
    for (from, to) in
        image.chunks_exact(f.height * f.width * CHUNK).zip(to.chunks_exact_mut(f.plane() * CHUNK))
    {
        for (y, to) in to.chunks_exact_mut(f.row() * CHUNK).enumerate() {
            let Some(y) = y.checked_sub(f.top).map(|y| y * f.every).filter(|y| *y < f.height)
            else {
                to.fill(0);
                continue;
            };
            let from = &from[y * f.width * CHUNK..][..f.width * CHUNK];
            for (run, to) in runs.iter().zip(to.chunks_exact_mut(f.run * CHUNK)) {
                let (before, rest) = to.split_at_mut(run.left * CHUNK);
                let (inner, after) = rest.split_at_mut(run.columns * CHUNK);
                before.fill(0);
                after.fill(0);
                if run.columns == 0 {
                    continue;
                }
                let from = &from[run.first * CHUNK..];
                if step == 1 {
                    inner.copy_from_slice(&from[..run.columns * CHUNK]);
                    continue;
                }
                for (to, from) in inner
                    .as_chunks_mut::<CHUNK>()
                    .0
                    .iter_mut()
                    .zip(from.as_chunks::<CHUNK>().0.iter().step_by(step))
                {
                    *to = *from;
                }
            }
        }
    }
}
