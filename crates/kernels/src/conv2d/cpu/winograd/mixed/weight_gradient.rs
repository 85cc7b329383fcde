//! The gradient with respect to the weight: pairs of tiles, summed in an order that depends only on
//! sizes.

use rayon::prelude::*;

use super::super::super::mixed::dots::MOST_CHUNKS;
use super::super::super::mixed::pair_sums::{PairSums, ROWS};
use super::super::super::scratch::{aligned, with_scratch, with_shared};
use super::super::product;
use super::super::weight_gradient::{FEW_POINTS, IN_CHUNKS, Part, blocks, cut, in_weight_order};
use super::evaluate::evaluate;
use super::transforms::Kind;
use super::{Block, CHUNK, Layout, POINTS, Plan, TAPS};
use crate::simd::Isa;
use crate::uninit::{Uninit, written};

/// Approximate numbers of evaluations in memory at a time: a fraction of the last-level cache.
const NUMBERS: usize = 6 << 20;

/// Number of output channel tasks that suffice to divide all sums, which then need not be kept all
/// at a time.
const FEW_TASKS: usize = 8;

/// The gradient, `[out channels, in channels, 3, 3]`, of images in chunks.
pub(in super::super::super) fn weight_gradient(
    isa: Isa,
    plan: &Plan,
    x: &[u16],
    dy: &[u16],
) -> Vec<f32> {
    let most = product::most_chunks(isa).min(MOST_CHUNKS);
    // Parts of the same output channels are consecutive.
    let parts: Vec<Part> = cut(plan.out_channels, most)
        .flat_map(|outputs| {
            cut(plan.in_channels, IN_CHUNKS)
                .map(move |inputs| Part { inputs, outputs: outputs.clone() })
        })
        .collect();
    with_shared(|shared| {
        let blocks = blocks(plan);
        let tiles = plan.block_capacity(&blocks);
        let patch_layout = Layout { chunks: plan.in_chunks(), tiles };
        let tile_layout = Layout { chunks: plan.out_channels.div_ceil(CHUNK), tiles };
        let block_numbers = patch_layout.len() + tile_layout.len();
        let together = (NUMBERS / block_numbers).clamp(1, blocks.len());
        let evaluations: &mut [u16] = bytemuck::cast_slice_mut(aligned(
            &mut shared.tiles,
            (together * block_numbers).div_ceil(2),
        ));
        let pairs =
            Pairs { isa, patches: patch_layout, gradients: tile_layout, block: block_numbers };
        let evaluate_all = |evaluations: &mut [u16], blocks: &[Block]| {
            evaluations.par_chunks_exact_mut(block_numbers).zip(blocks).for_each(
                |(evaluations, block)| {
                    let (patches, tiles) = evaluations.split_at_mut(patch_layout.len());
                    with_scratch(|scratch| {
                        evaluate(
                            isa,
                            plan,
                            Kind::PatchPairs,
                            x,
                            block,
                            &patch_layout,
                            patches,
                            &mut scratch.plane,
                        );
                        evaluate(
                            isa,
                            plan,
                            Kind::GradientPairs,
                            dy,
                            block,
                            &tile_layout,
                            tiles,
                            &mut scratch.plane,
                        );
                    });
                },
            );
        };
        let len = plan.out_channels * plan.in_channels * TAPS;
        let of_outputs: Vec<&[Part]> = parts.chunk_by(|a, b| a.outputs == b.outputs).collect();
        if blocks.len() == together && of_outputs.len() >= FEW_TASKS {
            evaluate_all(evaluations, &blocks);
            let evaluations = &*evaluations;
            let step = most * CHUNK * plan.in_channels * TAPS;
            // SAFETY: the tasks cover all output channels; every part of these is summed and
            // interpolated.
            let (weight, ()) = unsafe {
                written(len, |weight: &mut [Uninit]| {
                    weight.par_chunks_mut(step).zip(of_outputs).for_each(|(weight, parts)| {
                        with_scratch(|scratch| {
                            let sums = aligned(
                                &mut scratch.sums,
                                parts.iter().map(|part| POINTS * part.point()).sum(),
                            );
                            let mut rest = &mut *sums;
                            for part in parts {
                                let (these, others) = rest.split_at_mut(POINTS * part.point());
                                rest = others;
                                pairs.sum(evaluations, blocks.len(), part, 0, these, false);
                            }
                            in_weight_order(isa, plan, parts, sums, weight);
                        });
                    });
                })
            };
            return weight;
        }
        let points = if parts.len() < 16 { FEW_POINTS } else { POINTS };
        let sums =
            aligned(&mut shared.kernels, parts.iter().map(|part| POINTS * part.point()).sum());
        for (index, blocks) in blocks.chunks(together).enumerate() {
            let evaluations = &mut evaluations[..blocks.len() * block_numbers];
            evaluate_all(evaluations, blocks);
            let mut rest = &mut *sums;
            let mut tasks = Vec::new();
            for part in &parts {
                let (these, others) = rest.split_at_mut(POINTS * part.point());
                rest = others;
                tasks.extend(
                    these
                        .chunks_exact_mut(points * part.point())
                        .enumerate()
                        .map(|(i, sums)| (part, i * points, sums)),
                );
            }
            let evaluations = &*evaluations;
            tasks.into_par_iter().for_each(|(part, first, sums)| {
                pairs.sum(evaluations, blocks.len(), part, first, sums, index > 0)
            });
        }
        // SAFETY: the parts cover all output and all input channels, and every tap of these is
        // interpolated.
        let (weight, ()) =
            unsafe { written(len, |weight| in_weight_order(isa, plan, &parts, sums, weight)) };
        weight
    })
}

/// The layout of the evaluations of a block: patches, then gradients.
struct Pairs {
    isa: Isa,
    patches: Layout,
    gradients: Layout,
    /// Numbers from one block to the next.
    block: usize,
}

impl Pairs {
    /// Adds the products of all tiles of some blocks, `[point][input channel][output channel]` from
    /// point `first` on.
    fn sum(
        &self,
        evaluations: &[u16],
        blocks: usize,
        part: &Part,
        first: usize,
        sums: &mut [f32],
        resume: bool,
    ) {
        for (point, sums) in sums.chunks_exact_mut(part.point()).enumerate() {
            let width = part.outputs.len() * CHUNK;
            let a = (first + point) * self.patches.point();
            let b = self.patches.len() + (first + point) * self.gradients.point();
            let inputs = part
                .inputs
                .clone()
                .flat_map(|chunk| (0..CHUNK).step_by(ROWS).map(move |row| (chunk, row)));
            for ((chunk, row), sums) in inputs.zip(sums.chunks_exact_mut(ROWS * width)) {
                let pair_sums = PairSums {
                    images: blocks,
                    lines: 1,
                    pairs: self.patches.tiles / 2,
                    x: &evaluations[a + chunk * self.patches.chunk()..],
                    offsets: std::array::from_fn(|r| 2 * (row + r)),
                    x_image: self.block,
                    x_line: 0,
                    dy: &evaluations[b + part.outputs.start * self.gradients.chunk()..],
                    dy_image: self.block,
                    dy_chunk: self.gradients.chunk(),
                    outputs: part.outputs.len(),
                };
                pair_sums.sum(self.isa, sums, resume);
            }
        }
    }
}
