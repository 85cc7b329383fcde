//! The forward pass and the input gradient.

use std::ops::Range;

use rayon::prelude::*;

use super::super::finish::Finished;
use super::super::pack::WeightOrder;
use super::super::scratch::{Scratch, aligned, with_scratch, with_shared};
use super::product::{self, Operands};
use super::transforms::{self, Kind};
use super::{Block, CHUNK, Evaluations, PATCH, POINTS, Plan, TAPS, TILE};
use crate::simd::Isa;
use crate::transpose::transpose;
use crate::uninit::{Uninit, assume_written_mut, written};

/// Floats of all evaluated kernels beyond which tasks divide kernels instead of tiles.
const KERNEL_FLOATS: usize = 3 << 20;

/// Floats of evaluated patches that are kept if tasks divide kernels.
const PATCH_FLOATS: usize = 4 << 20;

/// How work is divided between tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Share {
    /// By images; each task computes all output channels.
    Tiles,
    /// By output channels; each task processes all images.
    Channels,
}

/// The result, `[batch, out channels, out height, out width]`, of a source and a 3 x 3 weight,
/// reversed if `turned`.
pub(in super::super) fn correlate(
    isa: Isa,
    plan: &Plan,
    source: &[f32],
    weight: &[f32],
    order: WeightOrder,
    turned: bool,
    finish: Finished,
) -> Vec<f32> {
    let kernels = POINTS * plan.in_chunks() * CHUNK * plan.out_channels.next_multiple_of(CHUNK);
    let share = if kernels <= KERNEL_FLOATS { Share::Tiles } else { Share::Channels };
    correlate_in(isa, share, plan, source, weight, order, turned, finish)
}

pub(in super::super) fn correlate_in(
    isa: Isa,
    share: Share,
    plan: &Plan,
    source: &[f32],
    weight: &[f32],
    order: WeightOrder,
    turned: bool,
    finish: Finished,
) -> Vec<f32> {
    let job = Job { isa, plan, source, kernels: Kernels { weight, order, turned }, finish };
    // SAFETY: either way, the tasks cover all images and all output channels, and write every row
    // of tiles of them.
    let (target, ()) = unsafe {
        written(plan.batch * plan.out_channels * plan.out_plane(), |target| match share {
            Share::Tiles => job.by_tiles(target),
            Share::Channels => job.by_channels(target),
        })
    };
    target
}

struct Kernels<'a> {
    weight: &'a [f32],
    order: WeightOrder,
    turned: bool,
}

struct Job<'a> {
    isa: Isa,
    plan: &'a Plan,
    source: &'a [f32],
    kernels: Kernels<'a>,
    finish: Finished<'a>,
}

/// Chunks of output channels that are computed together.
fn lanes(isa: Isa, channels: usize) -> Vec<Range<usize>> {
    let chunks = channels.div_ceil(CHUNK);
    let most = product::most_chunks(isa);
    (0..chunks).step_by(most).map(|first| first..(first + most).min(chunks)).collect()
}

impl Job<'_> {
    /// Each task processes some images and all output channels.
    fn by_tiles(&self, target: &mut [Uninit]) {
        let plan = self.plan;
        let lanes = lanes(self.isa, plan.out_channels);
        let kernels = self.kernel_layout(product::most_chunks(self.isa));
        with_shared(|shared| {
            let evaluated = aligned(&mut shared.kernels, lanes.len() * kernels.len());
            evaluated.par_chunks_exact_mut(kernels.len()).zip(&lanes).for_each(
                |(evaluated, lanes)| {
                    with_scratch(|scratch| {
                        self.evaluate_kernels(lanes, &kernels, evaluated, &mut scratch.plane)
                    });
                },
            );
            let evaluated = &*evaluated;
            let (images, image) = (plan.block_images(), plan.out_channels * plan.out_plane());
            target.par_chunks_mut(images * image).enumerate().for_each(|(task, target)| {
                let first = task * images;
                let blocks = plan.blocks(first..first + target.len() / image);
                let layout =
                    Evaluations { chunks: plan.in_chunks(), tiles: plan.block_capacity(&blocks) };
                with_scratch(|scratch| {
                    let Scratch { source, sums, plane, .. } = scratch;
                    let patches = aligned(source, layout.len());
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
                            lanes.iter().zip(evaluated.chunks_exact(kernels.len()))
                        {
                            let mut targets: Vec<&mut [Uninit]> =
                                target.chunks_exact_mut(image).collect();
                            let first = lanes.start * CHUNK * plan.out_plane();
                            targets
                                .iter_mut()
                                .for_each(|target| *target = &mut std::mem::take(target)[first..]);
                            self.multiply(
                                block,
                                &layout,
                                patches,
                                lanes,
                                &kernels,
                                evaluated,
                                &mut targets,
                                sums,
                                plane,
                            );
                        }
                    }
                });
            });
        });
    }

    /// Each task processes all images and some output channels, so that evaluated kernels stay in
    /// the cache.
    fn by_channels(&self, target: &mut [Uninit]) {
        let plan = self.plan;
        let lanes = lanes(self.isa, plan.out_channels);
        let kernels = self.kernel_layout(product::most_chunks(self.isa));
        let image = plan.out_channels * plan.out_plane();
        let tiles = plan.tiles_down() * plan.tiles_across();
        let together =
            (PATCH_FLOATS / (tiles * plan.in_chunks() * CHUNK * POINTS)).max(plan.block_images());
        let together = together.min(plan.batch);
        for (index, target) in target.chunks_mut(together * image).enumerate() {
            let first = index * together;
            let count = target.len() / image;
            let groups = (0..count).step_by(plan.block_images()).map(|group| {
                plan.blocks(first + group..first + (group + plan.block_images()).min(count))
            });
            let blocks: Vec<Block> = groups.flatten().collect();
            let layout =
                Evaluations { chunks: plan.in_chunks(), tiles: plan.block_capacity(&blocks) };
            with_shared(|shared| {
                let patches = aligned(&mut shared.tiles, blocks.len() * layout.len());
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
                let mut parts: Vec<Vec<&mut [Uninit]>> =
                    lanes.iter().map(|_| Vec::with_capacity(count)).collect();
                for target in target.chunks_exact_mut(image) {
                    let step = product::most_chunks(self.isa) * CHUNK * plan.out_plane();
                    parts
                        .iter_mut()
                        .zip(target.chunks_mut(step))
                        .for_each(|(part, target)| part.push(target));
                }
                parts.into_par_iter().zip(&lanes).for_each(|(mut targets, lanes)| {
                    with_scratch(|scratch| {
                        let Scratch { source, sums, plane, .. } = scratch;
                        let evaluated = aligned(source, kernels.len());
                        self.evaluate_kernels(lanes, &kernels, evaluated, plane);
                        for (block, patches) in
                            blocks.iter().zip(patches.chunks_exact(layout.len()))
                        {
                            let targets =
                                &mut targets[block.images.start - first..block.images.end - first];
                            self.multiply(
                                block, &layout, patches, lanes, &kernels, evaluated, targets, sums,
                                plane,
                            );
                        }
                    });
                });
            });
        }
    }

    /// The layout of the kernels of some output chunks, `[point][chunk][input channel][output
    /// channel]`.
    fn kernel_layout(&self, chunks: usize) -> Evaluations {
        Evaluations { chunks, tiles: self.plan.in_chunks() * CHUNK }
    }

    fn evaluate_kernels(
        &self,
        lanes: &Range<usize>,
        layout: &Evaluations,
        to: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let plan = self.plan;
        let Kernels { weight, order, turned } = self.kernels;
        let taps = aligned(scratch, CHUNK * TAPS * CHUNK);
        for (index, chunk) in lanes.clone().enumerate() {
            let outputs = CHUNK.min(plan.out_channels - chunk * CHUNK);
            for first in (0..plan.in_chunks() * CHUNK).step_by(CHUNK) {
                for (input, taps) in (first..first + CHUNK).zip(taps.chunks_exact_mut(TAPS * CHUNK))
                {
                    if outputs < CHUNK || input >= plan.in_channels {
                        taps.fill(0.0);
                    }
                    if input < plan.in_channels {
                        let from =
                            &weight[chunk * CHUNK * order.out_step + input * order.in_step..];
                        transpose(self.isa, [outputs, TAPS], from, order.out_step, taps, CHUNK);
                        if turned {
                            let (taps, _) = taps.as_chunks_mut::<CHUNK>();
                            taps.reverse();
                        }
                    }
                }
                let to = &mut to[index * layout.chunk() + first * CHUNK..];
                transforms::evaluate_kernels(self.isa, CHUNK, taps, to, layout.point(), CHUNK);
            }
        }
    }

    /// Computes some output channels of the tiles of a block from its evaluated patches; `targets`
    /// begin with those channels.
    fn multiply(
        &self,
        block: &Block,
        layout: &Evaluations,
        patches: &[f32],
        lanes: &Range<usize>,
        kernel_layout: &Evaluations,
        kernels: &[f32],
        targets: &mut [&mut [Uninit]],
        sums: &mut Vec<f32>,
        plane: &mut Vec<f32>,
    ) {
        let plan = self.plan;
        let count = plan.tiles(block).next_multiple_of(product::ROWS);
        let width = lanes.len() * CHUNK;
        let point = count * width + CHUNK;
        let sums = aligned(sums, POINTS * point);
        for (index, sums) in sums.chunks_exact_mut(point).enumerate() {
            let operands = Operands {
                a: &patches[index * layout.point()..][..layout.point()],
                a_outer: layout.chunk(),
                b: &kernels[index * kernel_layout.point()..][..kernel_layout.point()],
                b_outer: CHUNK * CHUNK,
                b_chunk: kernel_layout.chunk(),
                outer: plan.in_chunks(),
                inner: CHUNK,
                chunks: lanes.len(),
            };
            product::over_channels(self.isa, &operands, count, sums);
        }
        let columns = plan.tiles_across() * TILE;
        let pixels = aligned(plane, TILE * columns * CHUNK);
        let mut tile = 0;
        for (image, target) in block.images.clone().zip(targets) {
            for row in block.rows.clone() {
                let first = row * TILE;
                let rows = TILE.min(plan.out_height - first);
                for (index, chunk) in lanes.clone().enumerate() {
                    let from = &sums[tile * width + index * CHUNK..];
                    transforms::row(
                        self.isa,
                        Kind::Tiles,
                        plan.tiles_across(),
                        columns,
                        from,
                        pixels,
                        point,
                        width,
                    );
                    let channels = CHUNK.min(plan.out_channels - chunk * CHUNK);
                    let target =
                        &mut target[index * CHUNK * plan.out_plane() + first * plan.out_width..];
                    // Rows without a margin are transposed together.
                    let (parts, length) = match columns == plan.out_width {
                        true => (1, rows * columns),
                        false => (rows, plan.out_width),
                    };
                    for part in 0..parts {
                        let (from, to) =
                            (&pixels[part * columns * CHUNK..], &mut target[part * length..]);
                        transpose(self.isa, [length, channels], from, CHUNK, to, plan.out_plane());
                    }
                    let Some(finish) = self.finish else { continue };
                    for (channel, target) in
                        target.chunks_mut(plan.out_plane()).enumerate().take(channels)
                    {
                        let channel = chunk * CHUNK + channel;
                        let start = (image * plan.out_channels + channel) * plan.out_plane()
                            + first * plan.out_width;
                        let count = rows * plan.out_width;
                        // SAFETY: these rows were just written.
                        let values = unsafe { assume_written_mut(&mut target[..count]) };
                        finish.finish(channel, start..start + count, values);
                    }
                }
                tile += plan.tiles_across();
            }
        }
    }
}

/// Evaluates the patches, or the gradients of the tiles, of a block of images `[batch, channels,
/// height, width]`.
pub(super) fn evaluate(
    isa: Isa,
    plan: &Plan,
    kind: Kind,
    source: &[f32],
    block: &Block,
    layout: &Evaluations,
    to: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    // Patches overlap and have a margin of zeros; tiles have neither.
    let (side, padding, channels, height, width) = match kind {
        Kind::Patches => (PATCH, plan.padding, plan.in_channels, plan.height, plan.width),
        _ => (TILE, 0, plan.out_channels, plan.out_height, plan.out_width),
    };
    let columns = plan.tiles_across() * TILE + side - TILE;
    // With little padding, pixels beyond the right edge may be the image's; otherwise they are
    // zeros.
    let inside = width.min(columns - padding);
    let plane = height * width;
    let scratch = aligned(scratch, (side * columns + side * width) * CHUNK);
    let (buffer, dense) = scratch.split_at_mut(side * columns * CHUNK);
    let tiles = plan.tiles(block);
    for chunk in 0..channels.div_ceil(CHUNK) {
        buffer.fill(0.0);
        let count = CHUNK.min(channels - chunk * CHUNK);
        let mut tile = 0;
        for image in block.images.clone() {
            let source = &source[(image * channels + chunk * CHUNK) * plane..][..count * plane];
            for row in block.rows.clone() {
                // Image rows within the padded image, and the first padded row that is one.
                let top = row * TILE;
                let (first, last) = (
                    top.saturating_sub(padding).min(height),
                    (top + side).saturating_sub(padding).min(height),
                );
                let skipped = (padding.saturating_sub(top)).min(side);
                let rows = last - first;
                buffer[..skipped * columns * CHUNK].fill(0.0);
                buffer[(skipped + rows) * columns * CHUNK..].fill(0.0);
                let padded = buffer[skipped * columns * CHUNK..]
                    .chunks_exact_mut(columns * CHUNK)
                    .take(rows);
                if width.is_multiple_of(8) {
                    for (padded, row) in padded.zip(first..last) {
                        transpose(
                            isa,
                            [count, inside],
                            &source[row * width..],
                            plane,
                            &mut padded[padding * CHUNK..],
                            CHUNK,
                        );
                    }
                } else if rows > 0 {
                    // Short rows are transposed together.
                    transpose(
                        isa,
                        [count, rows * width],
                        &source[first * width..],
                        plane,
                        dense,
                        CHUNK,
                    );
                    for (padded, dense) in padded.zip(dense.chunks_exact(width * CHUNK)) {
                        padded[padding * CHUNK..][..inside * CHUNK]
                            .copy_from_slice(&dense[..inside * CHUNK]);
                    }
                }
                let to = &mut to[chunk * layout.chunk() + tile * CHUNK..];
                transforms::row(
                    isa,
                    kind,
                    plan.tiles_across(),
                    columns,
                    buffer,
                    to,
                    layout.point(),
                    CHUNK,
                );
                tile += plan.tiles_across();
            }
        }
        // Tiles that pad the layout are zero.
        for point in 0..POINTS {
            to[point * layout.point() + chunk * layout.chunk()..][tiles * CHUNK..layout.chunk()]
                .fill(0.0);
        }
    }
}
