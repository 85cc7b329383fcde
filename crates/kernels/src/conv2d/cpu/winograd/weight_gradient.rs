//! The gradient with respect to the weight: evaluated patches times evaluated tile gradients,
//! summed over all tiles in an order that depends only on sizes.

use std::ops::Range;

use rayon::prelude::*;

use super::super::scratch::{aligned, with_scratch, with_shared};
use super::correlate::evaluate;
use super::product::{self, Operands};
use super::transforms::{self, Kind};
use super::{Block, CHUNK, Evaluations, POINTS, Plan, TAPS};
use crate::simd::Isa;
use crate::transpose::transpose;
use crate::uninit::{Uninit, written};

/// Approximate floats of evaluations in memory at a time: a fraction of the last-level cache.
const FLOATS: usize = 3 << 20;

/// Chunks of input channels that a task sums.
pub(super) const IN_CHUNKS: usize = 4;

/// Points that a task sums if there are few channels, to have several tasks.
pub(super) const FEW_POINTS: usize = 6;

/// Sums of some channels, `[point][input channel][output channel]`.
pub(super) struct Part {
    pub(super) inputs: Range<usize>,
    pub(super) outputs: Range<usize>,
}

impl Part {
    /// Floats per point.
    pub(super) fn point(&self) -> usize {
        self.inputs.len() * self.outputs.len() * CHUNK * CHUNK
    }
}

pub(super) fn cut(channels: usize, most: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let chunks = channels.div_ceil(CHUNK);
    (0..chunks).step_by(most).map(move |first| first..(first + most).min(chunks))
}

/// The gradient, `[out channels, in channels, 3, 3]`.
pub(in super::super) fn weight_gradient(isa: Isa, plan: &Plan, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let outputs = cut(plan.out_channels, product::most_chunks(isa));
    // Parts of the same output channels are consecutive.
    let parts: Vec<Part> = outputs
        .flat_map(|outputs| {
            cut(plan.in_channels, IN_CHUNKS)
                .map(move |inputs| Part { inputs, outputs: outputs.clone() })
        })
        .collect();
    let points = if parts.len() < 16 { FEW_POINTS } else { POINTS };
    with_shared(|shared| {
        let len: usize = parts.iter().map(|part| POINTS * part.point()).sum();
        let sums = aligned(&mut shared.kernels, len);
        let blocks = blocks(plan);
        let tiles = plan.block_capacity(&blocks);
        let patch_layout = Evaluations { chunks: plan.in_chunks(), tiles };
        let tile_layout = Evaluations { chunks: plan.out_channels.div_ceil(CHUNK), tiles };
        let block_floats = patch_layout.len() + tile_layout.len();
        let together = (FLOATS / block_floats).clamp(1, blocks.len());
        let evaluations = aligned(&mut shared.tiles, together * block_floats);
        for (index, blocks) in blocks.chunks(together).enumerate() {
            let evaluations = &mut evaluations[..blocks.len() * block_floats];
            evaluations.par_chunks_exact_mut(block_floats).zip(blocks).for_each(
                |(evaluations, block)| {
                    let (patches, tiles) = evaluations.split_at_mut(patch_layout.len());
                    with_scratch(|scratch| {
                        evaluate(
                            isa,
                            plan,
                            Kind::Patches,
                            x,
                            block,
                            &patch_layout,
                            patches,
                            &mut scratch.plane,
                        );
                        evaluate(
                            isa,
                            plan,
                            Kind::TileGradients,
                            dy,
                            block,
                            &tile_layout,
                            tiles,
                            &mut scratch.plane,
                        );
                    });
                },
            );
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
                for (point, sums) in sums.chunks_exact_mut(part.point()).enumerate() {
                    let width = part.outputs.len() * CHUNK;
                    for (input, sums) in
                        part.inputs.clone().zip(sums.chunks_exact_mut(CHUNK * width))
                    {
                        let a =
                            (first + point) * patch_layout.point() + input * patch_layout.chunk();
                        let b = (first + point) * tile_layout.point()
                            + part.outputs.start * tile_layout.chunk();
                        let operands = Operands {
                            a: &evaluations[a..],
                            a_outer: block_floats,
                            b: &evaluations[patch_layout.len() + b..],
                            b_outer: block_floats,
                            b_chunk: tile_layout.chunk(),
                            outer: blocks.len(),
                            inner: tiles,
                            chunks: part.outputs.len(),
                        };
                        product::over_tiles(isa, &operands, sums, index > 0);
                    }
                }
            });
        }
        let len = plan.out_channels * plan.in_channels * TAPS;
        // SAFETY: the parts cover all output and all input channels, and every tap of these is
        // interpolated.
        let (weight, ()) =
            unsafe { written(len, |weight| in_weight_order(isa, plan, &parts, sums, weight)) };
        weight
    })
}

/// All blocks of the batch.
pub(super) fn blocks(plan: &Plan) -> Vec<Block> {
    let images = plan.block_images();
    (0..plan.batch)
        .step_by(images)
        .flat_map(|first| plan.blocks(first..(first + images).min(plan.batch)))
        .collect()
}

/// Interpolates the sums and writes them in the order of the weight.
pub(super) fn in_weight_order(
    isa: Isa,
    plan: &Plan,
    parts: &[Part],
    sums: &[f32],
    weight: &mut [Uninit],
) {
    let row = plan.in_channels * TAPS;
    let of_outputs: Vec<&[Part]> = parts.chunk_by(|a, b| a.outputs == b.outputs).collect();
    let mut rest = sums;
    let mut tasks = Vec::new();
    let width = product::most_chunks(isa) * CHUNK;
    for (parts, weight) in of_outputs.into_iter().zip(weight.chunks_mut(width * row)) {
        let (these, others) = rest.split_at(parts.iter().map(|part| POINTS * part.point()).sum());
        rest = others;
        tasks.push((parts, these, weight));
    }
    tasks.into_par_iter().for_each(|(parts, sums, weight)| {
        with_scratch(|scratch| {
            let taps = aligned(&mut scratch.plane, CHUNK * TAPS * CHUNK);
            let mut rest = sums;
            for part in parts {
                let (sums, others) = rest.split_at(POINTS * part.point());
                rest = others;
                let width = part.outputs.len() * CHUNK;
                for (i, input) in part.inputs.clone().enumerate() {
                    let inputs = CHUNK.min(plan.in_channels - input * CHUNK);
                    for (o, weight) in weight.chunks_mut(CHUNK * row).enumerate() {
                        let outputs = weight.len() / row;
                        let from = &sums[i * CHUNK * width + o * CHUNK..];
                        transforms::interpolate_kernels(
                            isa,
                            inputs,
                            from,
                            part.point(),
                            width,
                            taps,
                        );
                        let to = &mut weight[input * CHUNK * TAPS..];
                        transpose(isa, [inputs * TAPS, outputs], taps, CHUNK, to, row);
                    }
                }
            }
        });
    });
}
