//! The evaluations of a block of tiles, chunk by chunk.

use super::super::super::scratch::aligned;
use super::transforms::{self, Kind};
use super::{Block, CHUNK, Layout, PATCH, POINTS, Plan, TILE};
use crate::simd::Isa;

/// Evaluates the patches of a block of images in chunks, or the gradients of its tiles.
pub(super) fn evaluate(
    isa: Isa,
    plan: &Plan,
    kind: Kind,
    source: &[u16],
    block: &Block,
    layout: &Layout,
    to: &mut [u16],
    scratch: &mut Vec<f32>,
) {
    // Patches overlap and have a margin of zeros; tiles have neither.
    let (side, padding, channels, height, width) = match kind {
        Kind::GradientPairs => (TILE, 0, plan.out_channels, plan.out_height, plan.out_width),
        Kind::Patches | Kind::PatchPairs => {
            (PATCH, plan.padding, plan.in_channels, plan.height, plan.width)
        }
    };
    let chunks = channels.div_ceil(CHUNK);
    let (rows, columns) =
        (block.rows.len() * TILE + side - TILE, plan.tiles_across() * TILE + side - TILE);
    let (row, padded) = (columns * CHUNK, rows * columns * CHUNK);
    // Images with their margins, one after the other, followed by a tile of zeros that pads the
    // layout.
    let zeros = block.images.len() * padded;
    let scratch = aligned(scratch, (zeros + side * row).div_ceil(2));
    let scratch: &mut [u16] = bytemuck::cast_slice_mut(scratch);
    scratch[zeros..].fill(0);
    let mut offsets = Vec::with_capacity(layout.tiles);
    for image in 0..block.images.len() {
        for down in 0..block.rows.len() {
            offsets.extend(
                (0..plan.tiles_across())
                    .map(|across| image * padded + down * TILE * row + across * TILE * CHUNK),
            );
        }
    }
    offsets.resize(layout.tiles, zeros);
    let top = block.rows.start * TILE;
    let inside = width.min(columns - padding);
    let plane = height * width * CHUNK;
    for chunk in 0..chunks {
        for (image, buffer) in block.images.clone().zip(scratch.chunks_exact_mut(padded)) {
            let source = &source[(image * chunks + chunk) * plane..][..plane];
            for (y, buffer) in buffer.chunks_exact_mut(row).enumerate() {
                let Some(y) = (top + y).checked_sub(padding).filter(|y| *y < height) else {
                    buffer.fill(0);
                    continue;
                };
                let (before, rest) = buffer.split_at_mut(padding * CHUNK);
                let (inner, after) = rest.split_at_mut(inside * CHUNK);
                before.fill(0);
                after.fill(0);
                inner.copy_from_slice(&source[y * width * CHUNK..][..inside * CHUNK]);
            }
        }
        let to =
            &mut to[chunk * layout.chunk()..][..(POINTS - 1) * layout.point() + layout.chunk()];
        transforms::evaluate(isa, kind, scratch, &offsets, row, to, layout.point());
    }
}
