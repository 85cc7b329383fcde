//! The forward pass and the input gradient.

use std::ops::Range;

use rayon::prelude::*;

use super::super::super::mixed::dots::{Dots, MOST_CHUNKS, PIXELS};
use super::super::super::pack::WeightOrder;
use super::super::super::scratch::{Scratch, aligned, with_scratch, with_shared};
use super::super::transforms::evaluate_kernels;
use super::evaluate::evaluate;
use super::transforms::{self, Kind};
use super::{Block, CHUNK, Layout, POINTS, Plan, TAPS, TILE};
use crate::simd::Isa;
use crate::transpose::transpose;
use crate::uninit::{Uninit16, written};

/// Numbers of all evaluated kernels beyond which tasks divide kernels instead of tiles.
const KERNEL_NUMBERS: usize = 3 << 20;

/// Numbers of evaluated patches that are kept if tasks divide kernels.
const PATCH_NUMBERS: usize = 4 << 20;

/// The result in chunks, of a source in chunks and a 3 x 3 weight, reversed if `turned`.
pub(in super::super::super) fn correlate(
    isa: Isa,
    plan: &Plan,
    source: &[u16],
    weight: &[f32],
    order: WeightOrder,
    turned: bool,
) -> Vec<u16> {
    let out_chunks = plan.out_channels.div_ceil(CHUNK);
    let lanes = (0..out_chunks)
        .step_by(MOST_CHUNKS)
        .map(|first| first..(first + MOST_CHUNKS).min(out_chunks))
        .collect();
    let job = Job { isa, plan, source, weight, order, turned, lanes, out_chunks };
    let kernels = POINTS * plan.in_chunks() * CHUNK * out_chunks * CHUNK;
    // SAFETY: either way, the tasks cover all images and all chunks of output channels, and write
    // every row of tiles of them.
    let (target, ()) = unsafe {
        written(plan.batch * job.image(), |target| match kernels <= KERNEL_NUMBERS {
            true => job.by_tiles(target),
            false => job.by_channels(target),
        })
    };
    target
}

struct Job<'a> {
    isa: Isa,
    plan: &'a Plan,
    source: &'a [u16],
    weight: &'a [f32],
    order: WeightOrder,
    turned: bool,
    /// Chunks of output channels that are computed together.
    lanes: Vec<Range<usize>>,
    out_chunks: usize,
}

impl Job<'_> {
    fn plane(&self) -> usize {
        self.plan.out_plane() * CHUNK
    }

    fn image(&self) -> usize {
        self.out_chunks * self.plane()
    }

    /// Numbers per point in the kernels of the most chunks, `[pair of input channels][output
    /// channel][2]`.
    fn kernel_point(&self) -> usize {
        (self.plan.in_chunks() * MOST_CHUNKS * CHUNK + 2) * CHUNK
    }

    /// Each task processes some images and all output channels.
    fn by_tiles(&self, target: &mut [Uninit16]) {
        let plan = self.plan;
        let kernels = POINTS * self.kernel_point();
        with_shared(|shared| {
            let evaluated = aligned(&mut shared.kernels, (self.lanes.len() * kernels).div_ceil(2));
            let evaluated: &mut [u16] = bytemuck::cast_slice_mut(evaluated);
            evaluated.par_chunks_exact_mut(kernels).zip(&self.lanes).for_each(
                |(evaluated, lanes)| {
                    with_scratch(|scratch| {
                        self.evaluate_kernels(lanes, evaluated, &mut scratch.plane)
                    });
                },
            );
            let evaluated = &*evaluated;
            let images = plan.block_images();
            target.par_chunks_mut(images * self.image()).enumerate().for_each(|(task, target)| {
                let first = task * images;
                let blocks = plan.blocks(first..first + target.len() / self.image());
                let layout =
                    Layout { chunks: plan.in_chunks(), tiles: plan.block_capacity(&blocks) };
                with_scratch(|scratch| {
                    let Scratch { source, sums, plane, .. } = scratch;
                    let patches: &mut [u16] =
                        bytemuck::cast_slice_mut(aligned(source, layout.len().div_ceil(2)));
                    for block in &blocks {
                        evaluate(
                            self.isa,
                            plan,
                            Kind::Patches,
                            self.source,
                            block,
                            &layout,
                            patches,
                            plane,
                        );
                        for (lanes, evaluated) in
                            self.lanes.iter().zip(evaluated.chunks_exact(kernels))
                        {
                            let first = lanes.start * self.plane();
                            let mut targets: Vec<&mut [Uninit16]> = target
                                .chunks_exact_mut(self.image())
                                .map(|target| &mut target[first..])
                                .collect();
                            self.multiply(
                                block,
                                &layout,
                                patches,
                                lanes,
                                evaluated,
                                &mut targets,
                                sums,
                            );
                        }
                    }
                });
            });
        });
    }

    /// Each task processes all images and some output channels, so that evaluated kernels stay in
    /// the cache.
    fn by_channels(&self, target: &mut [Uninit16]) {
        let plan = self.plan;
        let tiles = plan.tiles_down() * plan.tiles_across();
        let together = (PATCH_NUMBERS / (tiles * plan.in_chunks() * CHUNK * POINTS))
            .max(plan.block_images())
            .min(plan.batch);
        for (index, target) in target.chunks_mut(together * self.image()).enumerate() {
            let first = index * together;
            let count = target.len() / self.image();
            let groups = (0..count).step_by(plan.block_images()).map(|group| {
                plan.blocks(first + group..first + (group + plan.block_images()).min(count))
            });
            let blocks: Vec<Block> = groups.flatten().collect();
            let layout = Layout { chunks: plan.in_chunks(), tiles: plan.block_capacity(&blocks) };
            with_shared(|shared| {
                let patches = aligned(&mut shared.tiles, (blocks.len() * layout.len()).div_ceil(2));
                let patches: &mut [u16] = bytemuck::cast_slice_mut(patches);
                patches.par_chunks_exact_mut(layout.len()).zip(&blocks).for_each(
                    |(patches, block)| {
                        with_scratch(|scratch| {
                            evaluate(
                                self.isa,
                                plan,
                                Kind::Patches,
                                self.source,
                                block,
                                &layout,
                                patches,
                                &mut scratch.plane,
                            );
                        });
                    },
                );
                let patches = &*patches;
                // The planes of the output channels of a task, image by image.
                let mut parts: Vec<Vec<&mut [Uninit16]>> =
                    self.lanes.iter().map(|_| Vec::with_capacity(count)).collect();
                for target in target.chunks_exact_mut(self.image()) {
                    parts
                        .iter_mut()
                        .zip(target.chunks_mut(MOST_CHUNKS * self.plane()))
                        .for_each(|(part, target)| part.push(target));
                }
                parts.into_par_iter().zip(&self.lanes).for_each(|(mut targets, lanes)| {
                    with_scratch(|scratch| {
                        let Scratch { source, sums, plane, .. } = scratch;
                        let evaluated = aligned(source, (POINTS * self.kernel_point()).div_ceil(2));
                        let evaluated: &mut [u16] = bytemuck::cast_slice_mut(evaluated);
                        self.evaluate_kernels(lanes, evaluated, plane);
                        for (block, patches) in
                            blocks.iter().zip(patches.chunks_exact(layout.len()))
                        {
                            let targets =
                                &mut targets[block.images.start - first..block.images.end - first];
                            self.multiply(block, &layout, patches, lanes, evaluated, targets, sums);
                        }
                    });
                });
            });
        }
    }

    fn evaluate_kernels(&self, lanes: &Range<usize>, to: &mut [u16], scratch: &mut Vec<f32>) {
        let plan = self.plan;
        let point = CHUNK * CHUNK + CHUNK;
        let scratch = aligned(scratch, CHUNK * TAPS * CHUNK + POINTS * point);
        let (taps, evaluated) = scratch.split_at_mut(CHUNK * TAPS * CHUNK);
        let width = lanes.len() * CHUNK;
        for (index, chunk) in lanes.clone().enumerate() {
            let outputs = CHUNK.min(plan.out_channels - chunk * CHUNK);
            for inputs in 0..plan.in_chunks() {
                for (input, taps) in (inputs * CHUNK..).zip(taps.chunks_exact_mut(TAPS * CHUNK)) {
                    if outputs < CHUNK || input >= plan.in_channels {
                        taps.fill(0.0);
                    }
                    if input < plan.in_channels {
                        let from = &self.weight
                            [chunk * CHUNK * self.order.out_step + input * self.order.in_step..];
                        transpose(
                            self.isa,
                            [outputs, TAPS],
                            from,
                            self.order.out_step,
                            taps,
                            CHUNK,
                        );
                        if self.turned {
                            let (taps, _) = taps.as_chunks_mut::<CHUNK>();
                            taps.reverse();
                        }
                    }
                }
                evaluate_kernels(self.isa, CHUNK, taps, evaluated, point, CHUNK);
                let to = &mut to[(inputs * CHUNK * width / 2 + index * CHUNK) * 2..];
                transforms::pair_kernels(
                    self.isa,
                    evaluated,
                    point,
                    to,
                    self.kernel_point(),
                    2 * width,
                );
            }
        }
    }

    /// Computes some output channels of the tiles of a block from its evaluated patches; `targets`
    /// begin with those channels.
    fn multiply(
        &self,
        block: &Block,
        layout: &Layout,
        patches: &[u16],
        lanes: &Range<usize>,
        kernels: &[u16],
        targets: &mut [&mut [Uninit16]],
        sums: &mut Vec<f32>,
    ) {
        let plan = self.plan;
        let count = plan.tiles(block).next_multiple_of(PIXELS);
        let width = lanes.len() * CHUNK;
        let point = count * width + CHUNK;
        let sums = aligned(sums, POINTS * point);
        for (index, sums) in sums.chunks_exact_mut(point).enumerate() {
            let patches = &patches[index * layout.point()..][..layout.point()];
            for (group, sums) in sums[..count * width].chunks_exact_mut(PIXELS * width).enumerate()
            {
                let dots = Dots {
                    source: &patches[group * PIXELS * CHUNK..],
                    columns: PIXELS,
                    row_step: 0,
                    chunks: plan.in_chunks(),
                    plane: layout.chunk(),
                    last: CHUNK,
                    taps: &[0],
                    weights: &kernels[index * self.kernel_point()..][..self.kernel_point()],
                    outputs: lanes.len(),
                };
                dots.sum(self.isa, sums);
            }
        }
        let row = plan.out_width * CHUNK;
        let mut tile = 0;
        for target in targets {
            for down in block.rows.clone() {
                for across in 0..plan.tiles_across() {
                    let (first, left) = (down * TILE, across * TILE);
                    let (rows, columns) =
                        (TILE.min(plan.out_height - first), TILE.min(plan.out_width - left));
                    for index in 0..lanes.len() {
                        let from = &sums[tile * width + index * CHUNK..];
                        let to = &mut target[index * self.plane() + first * row + left * CHUNK..];
                        if (rows, columns) == (TILE, TILE) {
                            transforms::interpolate(self.isa, from, point, to, row);
                            continue;
                        }
                        let mut whole = [Uninit16::new(0); TILE * TILE * CHUNK];
                        transforms::interpolate(self.isa, from, point, &mut whole, TILE * CHUNK);
                        for (whole, to) in
                            whole.chunks_exact(TILE * CHUNK).zip(to.chunks_mut(row)).take(rows)
                        {
                            to[..columns * CHUNK].copy_from_slice(&whole[..columns * CHUNK]);
                        }
                    }
                    tile += 1;
                }
            }
        }
    }
}
