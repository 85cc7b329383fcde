//! The gradient with respect to the weight: pairs of tiles, summed in an order that the sizes alone decide.

use rayon::prelude::*;

use super::super::super::mixed::dots::MOST_CHUNKS;
use super::super::super::mixed::pair_sums::{PairSums, ROWS};
use super::super::super::scratch::{aligned, with_scratch, with_shared};
use super::super::product;
use super::super::weight_gradient::{FEW_POINTS, IN_CHUNKS, Part, blocks, cut, in_weight_order};
use super::evaluate::evaluate;
use super::transforms::Kind;
use super::{CHUNK, Layout, POINTS, Plan, TAPS};
use crate::simd::Isa;
use crate::uninit::written;

/// Numbers of evaluations that lie in memory at a time, about: a share of a last-level cache.
const NUMBERS: usize = 4 << 20;

/// The gradient, `[out channels, in channels, 3, 3]`, of images in chunks.
pub(in super::super::super) fn weight_gradient(isa: Isa, plan: &Plan, x: &[u16], dy: &[u16]) -> Vec<f32> {
    let most = product::most_chunks(isa).min(MOST_CHUNKS);
    // Parts of the same output channels follow one another.
    let parts: Vec<Part> = cut(plan.out_channels, most)
        .flat_map(|outputs| cut(plan.in_channels, IN_CHUNKS).map(move |inputs| Part { inputs, outputs: outputs.clone() }))
        .collect();
    let points = if parts.len() < 16 { FEW_POINTS } else { POINTS };
    with_shared(|shared| {
        let len: usize = parts.iter().map(|part| POINTS * part.point()).sum();
        let sums = aligned(&mut shared.kernels, len);
        let blocks = blocks(plan);
        let tiles = plan.block_capacity(&blocks);
        let patch_layout = Layout { chunks: plan.in_chunks(), tiles };
        let tile_layout = Layout { chunks: plan.out_channels.div_ceil(CHUNK), tiles };
        let block_numbers = patch_layout.len() + tile_layout.len();
        let together = (NUMBERS / block_numbers).clamp(1, blocks.len());
        let evaluations: &mut [u16] =
            bytemuck::cast_slice_mut(aligned(&mut shared.tiles, (together * block_numbers).div_ceil(2)));
        for (index, blocks) in blocks.chunks(together).enumerate() {
            let evaluations = &mut evaluations[..blocks.len() * block_numbers];
            evaluations.par_chunks_exact_mut(block_numbers).zip(blocks).for_each(|(evaluations, block)| {
                let (patches, tiles) = evaluations.split_at_mut(patch_layout.len());
                with_scratch(|scratch| {
                    evaluate(isa, plan, Kind::PatchPairs, x, block, &patch_layout, patches, &mut scratch.plane);
                    evaluate(isa, plan, Kind::GradientPairs, dy, block, &tile_layout, tiles, &mut scratch.plane);
                });
            });
            let mut rest = &mut *sums;
            let mut tasks = Vec::new();
            for part in &parts {
                let (these, others) = rest.split_at_mut(POINTS * part.point());
                rest = others;
                tasks.extend(these.chunks_exact_mut(points * part.point()).enumerate().map(|(i, sums)| (part, i * points, sums)));
            }
            let evaluations = &*evaluations;
            tasks.into_par_iter().for_each(|(part, first, sums)| {
                for (point, sums) in sums.chunks_exact_mut(part.point()).enumerate() {
                    let width = part.outputs.len() * CHUNK;
                    let a = (first + point) * patch_layout.point();
                    let b = patch_layout.len() + (first + point) * tile_layout.point();
                    let inputs = part.inputs.clone().flat_map(|chunk| (0..CHUNK).step_by(ROWS).map(move |row| (chunk, row)));
                    for ((chunk, row), sums) in inputs.zip(sums.chunks_exact_mut(ROWS * width)) {
                        let pair_sums = PairSums {
                            images: blocks.len(),
                            lines: 1,
                            pairs: tiles / 2,
                            x: &evaluations[a + chunk * patch_layout.chunk()..],
                            offsets: std::array::from_fn(|r| 2 * (row + r)),
                            x_image: block_numbers,
                            x_line: 0,
                            dy: &evaluations[b + part.outputs.start * tile_layout.chunk()..],
                            dy_image: block_numbers,
                            dy_chunk: tile_layout.chunk(),
                            outputs: part.outputs.len(),
                        };
                        pair_sums.sum(isa, sums, index > 0);
                    }
                }
            });
        }
        let len = plan.out_channels * plan.in_channels * TAPS;
        // SAFETY: the parts are of all output channels and all input channels, and every tap of those is interpolated.
        let (weight, ()) = unsafe { written(len, |weight| in_weight_order(isa, plan, &parts, sums, weight)) };
        weight
    })
}
