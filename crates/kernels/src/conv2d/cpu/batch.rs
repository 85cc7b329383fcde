//! Runs a [`Correlation`] over a batch, images in parallel.

use rayon::prelude::*;

use super::correlation::{Correlation, Phase};
use super::finish::Finished;
use super::pack::{Block, Packed, WeightOrder, blocks};
use super::scratch::{Scratch, aligned, with_scratch};
use super::{pixels, rows};
use crate::simd::{Isa, vectorized};
use crate::uninit::{Place, Uninit, assume_written_mut, written};

/// Approximate floats of padded images that a thread works on at a time, half of an L2 cache:
/// weights that do not fit into the cache are read once for all of these images.
const IMAGES_FLOATS: usize = 128 * 1024;

/// What the lanes of a vector are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lanes {
    Rows,
    Pixels,
}

/// Shared by all tasks of a batch.
struct Batch<'a> {
    isa: Isa,
    c: &'a Correlation,
    groups: usize,
    lanes: Lanes,
    blocks: Vec<Block>,
    packed: Packed,
    finish: Finished<'a>,
}

/// The choice with fewer cycles.
fn choose(isa: Isa, c: &Correlation) -> Lanes {
    let total = |cost: fn(Isa, &Phase, &[Block]) -> f64, widths: &[usize]| -> f64 {
        let blocks = blocks(c.out_channels, widths);
        c.phases.iter().map(|phase| cost(isa, phase, &blocks) * phase.taps.len() as f64).sum()
    };
    match total(rows::cost, rows::widths(isa)) <= total(pixels::cost, pixels::widths(isa)) {
        true => Lanes::Rows,
        false => Lanes::Pixels,
    }
}

/// The result, `[batch, groups * out channels, height, width]`, of a source `[batch, groups * in
/// channels, ..]` and a weight with consecutive groups.
pub(super) fn correlate(
    isa: Isa,
    c: &Correlation,
    groups: usize,
    source: &[f32],
    weight: &[f32],
    order: WeightOrder,
    finish: Finished,
) -> Vec<f32> {
    correlate_in(isa, choose(isa, c), c, groups, source, weight, order, finish)
}

pub(super) fn correlate_in(
    isa: Isa,
    lanes: Lanes,
    c: &Correlation,
    groups: usize,
    source: &[f32],
    weight: &[f32],
    order: WeightOrder,
    finish: Finished,
) -> Vec<f32> {
    let widths = match lanes {
        Lanes::Rows => rows::widths(isa),
        Lanes::Pixels => pixels::widths(isa),
    };
    let blocks = blocks(c.out_channels, widths);
    let packed = Packed::new(c, groups, &blocks, weight, order);
    let source_image = groups * c.in_channels * c.padded.height * c.padded.width;
    let target_image = groups * c.out_channels * c.plane();
    let batch = source.len() / source_image;
    let run = Batch { isa, c, groups, lanes, blocks, packed, finish };
    // SAFETY: the tasks cover all images and their channels, and write every phase of each.
    let (target, ()) =
        unsafe { written(batch * target_image, |target| run.all_images(source, batch, target)) };
    target
}

impl Batch<'_> {
    /// Computes the whole result.
    fn all_images(&self, source: &[f32], batch: usize, target: &mut [Uninit]) {
        let c = self.c;
        let (source_image, target_image) = (source.len() / batch, target.len() / batch);
        let threads = rayon::current_num_threads();
        let together =
            (IMAGES_FLOATS / c.padded.buffer(c.in_channels)).clamp(1, batch.div_ceil(threads));
        let parts = self.parts(4 * threads / batch);
        if self.lanes == Lanes::Pixels && together > 1 {
            let tasks = target
                .par_chunks_mut(together * target_image)
                .zip(source.par_chunks(together * source_image));
            tasks.enumerate().for_each(|(task, (target, source))| {
                let first = task * together;
                with_scratch(|scratch| self.images(first, source, 0, 1, target, scratch))
            });
        } else {
            target.par_chunks_mut(target_image / parts).enumerate().for_each(|(task, target)| {
                let image = task / parts;
                let source = &source[image * source_image..][..source_image];
                with_scratch(|scratch| {
                    self.images(image, source, task % parts, parts, target, scratch)
                });
            });
        }
    }

    /// Into how many equal parts the channels of an image can be divided, at most `wanted`.
    fn parts(&self, wanted: usize) -> usize {
        let divides = |&parts: &usize| match self.groups {
            1 => self.c.out_channels.is_multiple_of(parts * self.blocks[0].width),
            groups => groups.is_multiple_of(parts),
        };
        (1..=wanted.max(1)).rev().find(|parts| *parts == 1 || divides(parts)).unwrap_or(1)
    }

    /// Computes part `part` of `parts` of the channels of some images, the first of which is
    /// `first_image`.
    fn images(
        &self,
        first_image: usize,
        source: &[f32],
        part: usize,
        parts: usize,
        target: &mut [Uninit],
        scratch: &mut Scratch,
    ) {
        let c = self.c;
        let in_image = self.groups * c.in_channels * c.padded.height * c.padded.width;
        let images = source.len() / in_image;
        let group_source = c.in_channels * c.padded.height * c.padded.width;
        let image_buffer = c.padded.buffer(c.in_channels).next_multiple_of(16);
        let (groups, blocks) = if self.groups == 1 {
            let count = self.blocks.len() / parts;
            (0..1, part * count..(part + 1) * count)
        } else {
            let count = self.groups / parts;
            (part * count..(part + 1) * count, 0..self.blocks.len())
        };
        // `parts` divides the number of blocks unless there is only one part.
        let blocks = &self.blocks[if parts == 1 { 0..self.blocks.len() } else { blocks }];
        let before: usize =
            self.blocks.iter().take_while(|b| b.first < blocks[0].first).map(|b| b.width).sum();
        let width: usize = blocks.iter().map(|b| b.width).sum();
        let channels: usize = blocks.iter().map(|b| b.channels).sum();
        let first_group = groups.start;
        let target_image = target.len() / images;
        for group in groups {
            let buffer = aligned(&mut scratch.source, images * image_buffer);
            for (source, buffer) in
                source.chunks_exact(in_image).zip(buffer.chunks_exact_mut(image_buffer))
            {
                c.padded.fill(self.isa, &source[group * group_source..][..group_source], buffer);
            }
            let sources: Vec<&[f32]> = buffer.chunks_exact(image_buffer).collect();
            let mut targets: Vec<&mut [Uninit]> = target
                .chunks_exact_mut(target_image)
                .map(|target| {
                    &mut target[(group - first_group) * channels * c.plane()..]
                        [..channels * c.plane()]
                })
                .collect();
            let weights = |index: usize| {
                let depth = c.in_channels * c.phases[index].taps.len();
                &self.packed.get(group, index)[before * depth..][..width * depth]
            };
            if c.step == 1 {
                self.phase(
                    &c.phases[0],
                    &sources,
                    blocks,
                    weights(0),
                    &mut targets,
                    &mut scratch.sums,
                );
                self.finish(first_image, group * c.out_channels + blocks[0].first, &mut targets);
                continue;
            }
            // The phases of a row of the result interleave and are written together.
            let mut index = 0;
            for phases in c.phases.chunk_by(|a, b| a.first_row == b.first_row) {
                let first = index;
                index += phases.len();
                if phases.iter().all(|phase| phase.taps.is_empty()) {
                    for plane in
                        targets.iter_mut().flat_map(|target| target.chunks_exact_mut(c.plane()))
                    {
                        plane
                            .chunks_exact_mut(c.width)
                            .skip(phases[0].first_row)
                            .step_by(c.step)
                            .for_each(|row| row.fill(Place::of(0.0)));
                    }
                    continue;
                }
                let image: usize =
                    phases.iter().map(|phase| channels * phase.rows * phase.columns).sum();
                let planes = aligned(&mut scratch.plane, images * image);
                let mut rest = &mut *planes;
                for (i, phase) in phases.iter().enumerate() {
                    let size = channels * phase.rows * phase.columns;
                    let (these, others) = rest.split_at_mut(images * size);
                    rest = others;
                    let mut these: Vec<&mut [f32]> = these.chunks_exact_mut(size).collect();
                    self.phase(
                        phase,
                        &sources,
                        blocks,
                        weights(first + i),
                        &mut these,
                        &mut scratch.sums,
                    );
                }
                for (image, target) in targets.iter_mut().enumerate() {
                    interleave(c, phases, planes, image, images, target);
                }
            }
            self.finish(first_image, group * c.out_channels + blocks[0].first, &mut targets);
        }
    }

    /// Finishes complete planes of some images, of the channels from `first_channel` on.
    fn finish(&self, first_image: usize, first_channel: usize, targets: &mut [&mut [Uninit]]) {
        let Some(finish) = self.finish else { return };
        let plane = self.c.plane();
        let channels = self.groups * self.c.out_channels;
        for (image, target) in targets.iter_mut().enumerate() {
            for (channel, target) in target.chunks_exact_mut(plane).enumerate() {
                let channel = first_channel + channel;
                let start = ((first_image + image) * channels + channel) * plane;
                // SAFETY: all phases of these channels have been written.
                let values = unsafe { assume_written_mut(target) };
                finish.finish(channel, start..start + plane, values);
            }
        }
    }

    fn phase<P: Place>(
        &self,
        phase: &Phase,
        sources: &[&[f32]],
        blocks: &[Block],
        weights: &[f32],
        targets: &mut [&mut [P]],
        sums: &mut Vec<f32>,
    ) {
        if phase.taps.is_empty() {
            targets.iter_mut().for_each(|target| target.fill(P::of(0.0)));
            return;
        }
        match self.lanes {
            Lanes::Rows => {
                for (source, target) in sources.iter().zip(targets) {
                    rows::correlate(self.isa, self.c, phase, source, blocks, weights, target);
                }
            }
            Lanes::Pixels => {
                pixels::correlate(self.isa, self.c, phase, sources, blocks, weights, targets, sums)
            }
        }
    }
}

vectorized! {
    fn alternate(to: &mut [Uninit], even: &[f32], odd: &[f32]) {
        for (to, (even, odd)) in to.chunks_exact_mut(2).zip(even.iter().zip(odd)) {
            (to[0], to[1]) = (Place::of(*even), Place::of(*odd));
        }
    }
}

/// Moves the outputs of the phases of some rows, `[phase][image][channel][row][column]`, to their
/// places in the result.
fn interleave(
    c: &Correlation,
    phases: &[Phase],
    planes: &[f32],
    image: usize,
    images: usize,
    target: &mut [Uninit],
) {
    let rows = phases[0].rows;
    let channels = target.len() / c.plane();
    let mut start = 0;
    let mut sources = Vec::new();
    for phase in phases {
        let size = channels * rows * phase.columns;
        sources.push(&planes[start + image * size..][..size]);
        start += images * size;
    }
    for (channel, target) in target.chunks_exact_mut(c.plane()).enumerate() {
        for (row, to) in
            target.chunks_exact_mut(c.width).skip(phases[0].first_row).step_by(c.step).enumerate()
        {
            let run = |phase: usize| {
                let columns = phases[phase].columns;
                &sources[phase][(channel * rows + row) * columns..][..columns]
            };
            if c.step == 2 && c.width.is_multiple_of(2) {
                alternate(to, run(0), run(1));
            } else {
                for (phase, first) in phases.iter().map(|phase| phase.first_column).enumerate() {
                    to[first..]
                        .iter_mut()
                        .step_by(c.step)
                        .zip(run(phase))
                        .for_each(|(to, from)| *to = Place::of(*from));
                }
            }
        }
    }
}
