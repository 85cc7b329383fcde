//! The column matrix of a tile of output rows: one row for each tap and input channel, one column for each output pixel.

use super::Sizes;
use std::cell::RefCell;
use std::ops::Range;

/// Columns of a tile are chosen so that the column matrix stays within this many floats, about half a second-level cache.
const TILE_FLOATS: usize = 96 * 1024;

/// Output rows that one tile takes.
pub(super) fn rows_per_tile(sizes: &Sizes) -> usize {
    (TILE_FLOATS / (sizes.depth() * sizes.out_width)).clamp(1, sizes.out_height)
}

/// The tiles of an image.
pub(super) fn tiles(sizes: &Sizes) -> impl Iterator<Item = Range<usize>> + use<> {
    let (rows, height) = (rows_per_tile(sizes), sizes.out_height);
    (0..height.div_ceil(rows)).map(move |tile| tile * rows..((tile + 1) * rows).min(height))
}

/// Lends a thread's own buffer of at least `length` floats; its content is what the last borrower left.
pub(super) fn with_buffer<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local!(static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    let mut buffer = BUFFER.take();
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    let result = work(&mut buffer[..length]);
    BUFFER.set(buffer);
    result
}

/// Where a kernel tap meets the input along one axis: for which outputs it stays inside, and the input of the first.
fn inside(tap: usize, outputs: &Range<usize>, size: usize, sizes: &Sizes) -> (Range<usize>, usize) {
    let geometry = sizes.geometry;
    let shift = tap * geometry.dilation;
    // Output o reads input o * stride + shift - padding.
    let first = geometry.padding.saturating_sub(shift).div_ceil(geometry.stride);
    let end = (size + geometry.padding).saturating_sub(shift).div_ceil(geometry.stride);
    let start = first.clamp(outputs.start, outputs.end);
    let end = end.clamp(start, outputs.end);
    (start..end, (start * geometry.stride + shift).saturating_sub(geometry.padding))
}

/// Copies the input `[channels of the group, height, width]` of a tile into `columns` `[depth, rows * out width]`.
pub(super) fn gather(sizes: &Sizes, image: &[f32], rows: &Range<usize>, columns: &mut [f32]) {
    let stride = sizes.geometry.stride;
    let length = rows.len() * sizes.out_width;
    let mut targets = columns.chunks_exact_mut(length);
    for channel in image.chunks_exact(sizes.in_area()) {
        for tap_y in 0..sizes.kernel_height {
            let (inner_rows, first_y) = inside(tap_y, rows, sizes.height, sizes);
            for tap_x in 0..sizes.kernel_width {
                let target = targets.next().expect("one row of the column matrix for each tap and channel");
                let (inner, first_x) = inside(tap_x, &(0..sizes.out_width), sizes.width, sizes);
                for (index, row) in target.chunks_exact_mut(sizes.out_width).enumerate() {
                    let out_y = rows.start + index;
                    if !inner_rows.contains(&out_y) || inner.is_empty() {
                        row.fill(0.0);
                        continue;
                    }
                    let y = first_y + (out_y - inner_rows.start) * stride;
                    let source = &channel[y * sizes.width..][..sizes.width];
                    row[..inner.start].fill(0.0);
                    row[inner.end..].fill(0.0);
                    let middle = &mut row[inner.clone()];
                    if stride == 1 {
                        middle.copy_from_slice(&source[first_x..first_x + middle.len()]);
                    } else {
                        for (value, from) in middle.iter_mut().zip(source[first_x..].iter().step_by(stride)) {
                            *value = *from;
                        }
                    }
                }
            }
        }
    }
}

/// Adds `columns` back to where [`gather`] took them from.
pub(super) fn scatter(sizes: &Sizes, columns: &[f32], rows: &Range<usize>, image: &mut [f32]) {
    let stride = sizes.geometry.stride;
    let length = rows.len() * sizes.out_width;
    let mut sources = columns.chunks_exact(length);
    for channel in image.chunks_exact_mut(sizes.in_area()) {
        for tap_y in 0..sizes.kernel_height {
            let (inner_rows, first_y) = inside(tap_y, rows, sizes.height, sizes);
            for tap_x in 0..sizes.kernel_width {
                let source = sources.next().expect("one row of the column matrix for each tap and channel");
                let (inner, first_x) = inside(tap_x, &(0..sizes.out_width), sizes.width, sizes);
                if inner.is_empty() {
                    continue;
                }
                for out_y in inner_rows.clone() {
                    let y = first_y + (out_y - inner_rows.start) * stride;
                    let row = &source[(out_y - rows.start) * sizes.out_width..][inner.clone()];
                    let target = &mut channel[y * sizes.width..][..sizes.width];
                    if stride == 1 {
                        for (to, value) in target[first_x..first_x + row.len()].iter_mut().zip(row) {
                            *to += value;
                        }
                    } else {
                        for (to, value) in target[first_x..].iter_mut().step_by(stride).zip(row) {
                            *to += value;
                        }
                    }
                }
            }
        }
    }
}
