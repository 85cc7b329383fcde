//! The forward pass and the input gradient, summed directly over channels and taps.

use rayon::prelude::*;

use super::super::correlation::{Correlation, Phase};
use super::super::pack::WeightOrder;
use super::super::scratch::{Scratch, aligned, with_scratch};
use super::dots::{CHUNK, Dots, MOST_CHUNKS, PIXELS};
use super::padded;
use crate::mixed::round;
use crate::simd::{Isa, narrow};
use crate::uninit::{Uninit16, written};

/// Chunks of output channels computed together, and their weights for each phase.
struct Block {
    first: usize,
    chunks: usize,
    weights: Vec<Vec<u16>>,
}

/// Shared by all tasks.
struct Job<'a> {
    isa: Isa,
    c: &'a Correlation,
    in_chunks: usize,
    /// Channels in the last chunk.
    last: usize,
    /// Offsets of the taps of each phase; for a single channel, of the first tap of each pair.
    taps: Vec<Vec<usize>>,
    blocks: Vec<Block>,
}

/// Computes the result in chunks, from a source in chunks.
pub(super) fn correlate(
    isa: Isa,
    c: &Correlation,
    source: &[u16],
    weight: &[f32],
    order: WeightOrder,
) -> Vec<u16> {
    let in_chunks = c.in_channels.div_ceil(CHUNK);
    let out_chunks = c.out_channels.div_ceil(CHUNK);
    let last = c.in_channels - (in_chunks - 1) * CHUNK;
    let paired: Option<Vec<Vec<TapPair>>> =
        (c.in_channels == 1).then(|| c.phases.iter().map(tap_pairs).collect());
    let blocks = (0..out_chunks).into_par_iter().step_by(MOST_CHUNKS).map(|first| {
        let chunks = MOST_CHUNKS.min(out_chunks - first);
        let weights = match &paired {
            Some(phases) => phases
                .iter()
                .map(|pairs| packed_pairs(c, pairs, first, chunks, weight, order))
                .collect(),
            None => c
                .phases
                .iter()
                .map(|phase| packed(c, phase, first, chunks, weight, order))
                .collect(),
        };
        Block { first, chunks, weights }
    });
    let blocks = blocks.collect();
    let taps = match &paired {
        Some(phases) => phases
            .iter()
            .map(|pairs| pairs.iter().map(|pair| pair.offset * CHUNK).collect())
            .collect(),
        None => c
            .phases
            .iter()
            .map(|phase| phase.taps.iter().map(|tap| tap.offset * CHUNK).collect())
            .collect(),
    };
    let job = Job { isa, c, in_chunks, last, taps, blocks };
    let image = in_chunks * c.padded.height * c.padded.width * CHUNK;
    let target_image = out_chunks * c.plane() * CHUNK;
    // SAFETY: the tasks cover the images, and write every phase of every chunk of each.
    let (target, ()) = unsafe {
        written(source.len() / image * target_image, |target| {
            source.par_chunks_exact(image).zip(target.par_chunks_exact_mut(target_image)).for_each(
                |(source, target)| {
                    with_scratch(|scratch| job.one_image(source, target, scratch));
                },
            );
        })
    };
    target
}

/// Two taps that read neighboring pixels of a channel, or one without such a neighbor.
struct TapPair {
    offset: usize,
    first: usize,
    second: Option<usize>,
}

/// With a single channel, half of each pair would be empty; instead, the pixel to the right is the
/// second element.
fn tap_pairs(phase: &Phase) -> Vec<TapPair> {
    let mut taps: Vec<_> = phase.taps.iter().map(|tap| (tap.offset, tap.index)).collect();
    taps.sort_unstable();
    let mut pairs: Vec<TapPair> = Vec::new();
    for (offset, index) in taps {
        match pairs.last_mut() {
            Some(pair) if pair.second.is_none() && pair.offset + 1 == offset => {
                pair.second = Some(index)
            }
            _ => pairs.push(TapPair { offset, first: index, second: None }),
        }
    }
    pairs
}

/// The weights of a phase with one channel, `[pair of taps][output channel][2]`.
fn packed_pairs(
    c: &Correlation,
    pairs: &[TapPair],
    first: usize,
    chunks: usize,
    weight: &[f32],
    order: WeightOrder,
) -> Vec<u16> {
    let width = chunks * CHUNK;
    let mut packed = vec![0; pairs.len() * width * 2];
    for output in 0..width.min(c.out_channels - first * CHUNK) {
        let from = &weight[(first * CHUNK + output) * order.out_step..];
        for (index, pair) in pairs.iter().enumerate() {
            let to = &mut packed[(index * width + output) * 2..][..2];
            to[0] = narrow(from[pair.first]);
            to[1] = pair.second.map_or(0, |second| narrow(from[second]));
        }
    }
    packed
}

/// The weights of a phase in the order in which they are read, `[in chunk][tap][pair][output
/// channel][2]`.
fn packed(
    c: &Correlation,
    phase: &Phase,
    first: usize,
    chunks: usize,
    weight: &[f32],
    order: WeightOrder,
) -> Vec<u16> {
    let in_chunks = c.in_channels.div_ceil(CHUNK);
    let last = c.in_channels - (in_chunks - 1) * CHUNK;
    let mut packed = vec![0; Dots::weights(in_chunks, last, phase.taps.len(), chunks)];
    let width = chunks * CHUNK;
    let channels = width.min(c.out_channels - first * CHUNK);
    let pairs = |chunk: usize| CHUNK.min(c.in_channels - chunk * CHUNK).div_ceil(2);
    for output in 0..channels {
        for input in 0..c.in_channels {
            let (chunk, pair) = (input / CHUNK, input % CHUNK / 2);
            let from = &weight[(first * CHUNK + output) * order.out_step + input * order.in_step..];
            let before = chunk * CHUNK / 2 * phase.taps.len();
            for (index, tap) in phase.taps.iter().enumerate() {
                packed[((before + index * pairs(chunk) + pair) * width + output) * 2 + input % 2] =
                    narrow(from[tap.index]);
            }
        }
    }
    packed
}

impl Job<'_> {
    fn one_image(&self, source: &[u16], target: &mut [Uninit16], scratch: &mut Scratch) {
        let c = self.c;
        let Scratch { source: buffer, .. } = scratch;
        let buffer = aligned(buffer, padded::buffer(&c.padded, self.in_chunks).div_ceil(2));
        let buffer: &mut [u16] = bytemuck::cast_slice_mut(buffer);
        padded::fill(&c.padded, source, buffer);
        if c.in_channels == 1 {
            let pixels = buffer.as_chunks_mut::<CHUNK>().0;
            for pixel in 1..pixels.len() {
                pixels[pixel - 1][1] = pixels[pixel][0];
            }
        }
        let mut sums = [0.0; PIXELS * MOST_CHUNKS * CHUNK];
        let mut rounded = [Uninit16::new(0); PIXELS * MOST_CHUNKS * CHUNK];
        for block in &self.blocks {
            let target =
                &mut target[block.first * c.plane() * CHUNK..][..block.chunks * c.plane() * CHUNK];
            for ((phase, taps), weights) in c.phases.iter().zip(&self.taps).zip(&block.weights) {
                // Short rows are processed two at a time.
                let columns = if phase.columns.div_ceil(PIXELS / 2) % 2 == 1 && phase.rows > 1 {
                    PIXELS / 2
                } else {
                    PIXELS
                };
                let rows = PIXELS / columns;
                for row in (0..phase.rows).step_by(rows) {
                    for column in (0..phase.columns).step_by(columns) {
                        let dots = Dots {
                            source: &buffer[(row * c.row_step + column) * CHUNK..],
                            columns,
                            row_step: c.row_step * CHUNK,
                            chunks: self.in_chunks,
                            plane: c.padded.plane() * CHUNK,
                            last: if c.in_channels == 1 { 2 } else { self.last },
                            taps,
                            weights,
                            outputs: block.chunks,
                        };
                        dots.sum(self.isa, &mut sums);
                        round(&sums, &mut rounded);
                        for pixel in 0..PIXELS {
                            let (row, column) = (row + pixel / columns, column + pixel % columns);
                            if row >= phase.rows || column >= phase.columns {
                                continue;
                            }
                            let (y, x) = (
                                phase.first_row + row * c.step,
                                phase.first_column + column * c.step,
                            );
                            for (chunk, target) in
                                target.chunks_exact_mut(c.plane() * CHUNK).enumerate()
                            {
                                let from =
                                    &rounded[(pixel * block.chunks + chunk) * CHUNK..][..CHUNK];
                                target[(y * c.width + x) * CHUNK..][..CHUNK].copy_from_slice(from);
                            }
                        }
                    }
                }
            }
        }
    }
}
