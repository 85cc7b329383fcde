//! The forward pass and the input gradient.

use rayon::prelude::*;

use super::super::super::correlation::{Correlation, Phase};
use super::super::super::pack::WeightOrder;
use super::super::super::scratch::{aligned, with_scratch};
use super::super::dots::{CHUNK, MOST_CHUNKS};
use super::planes::{Planes, Spot, spots};
use crate::mixed::round;
use crate::simd::narrow;
use crate::simd::tiles::{DEPTH, NUMBERS, ROWS, TileSums, Tiles, with_tiles};
use crate::uninit::{Uninit16, written};

/// Largest number of output tiles that are computed at a time.
const MOST_SPOTS: usize = 2;

/// The numbers that a row of a tile reads at once: from `offset` on, those of some taps and lanes.
struct Piece {
    offset: usize,
    /// Input channel and tap of each number; `None` if the weight is zero.
    weights: Vec<Option<(usize, usize)>>,
}

/// A phase of the result.
struct Part<'a> {
    phase: &'a Phase,
    spots: Vec<Spot>,
    pieces: Vec<Piece>,
}

/// Chunks of output channels that are computed together, with their steps and weights for each
/// phase.
struct Block {
    first: usize,
    chunks: usize,
    parts: Vec<(Vec<[usize; 2]>, Vec<u16>)>,
}

struct Job<'a> {
    c: &'a Correlation,
    planes: Planes,
    lanes: usize,
    parts: Vec<Part<'a>>,
    blocks: Vec<Block>,
}

/// Computes the result in chunks, from a source in chunks.
///
/// # Safety
///
/// The processor has the instructions of `T`.
pub(in super::super) unsafe fn correlate<T: Tiles>(
    c: &Correlation,
    source: &[u16],
    weight: &[f32],
    order: WeightOrder,
) -> Vec<u16> {
    let job = Job::new(c, weight, order);
    let image = c.in_channels.div_ceil(CHUNK) * c.padded.height * c.padded.width * CHUNK;
    let target_image = c.out_channels.div_ceil(CHUNK) * c.plane() * CHUNK;
    // SAFETY: the tasks cover the images, and write every phase of every chunk of each.
    let (target, ()) = unsafe {
        written(source.len() / image * target_image, |target| {
            source.par_chunks_exact(image).zip(target.par_chunks_exact_mut(target_image)).for_each(
                |(source, target)| {
                    // SAFETY: the caller guarantees the instructions; an image is computed by one
                    // thread.
                    with_tiles::<T, _>(|tiles| job.one_image(tiles, source, target));
                },
            );
        })
    };
    target
}

impl<'a> Job<'a> {
    fn new(c: &'a Correlation, weight: &[f32], order: WeightOrder) -> Self {
        let planes = Planes::new(c.padded);
        // A row of a tile holds two chunks. A few channels are packed without gaps, and a row then
        // covers several taps.
        let lanes = if c.in_channels > CHUNK { DEPTH } else { c.in_channels };
        let mut job = Self { c, planes, lanes, parts: Vec::new(), blocks: Vec::new() };
        job.parts = c
            .phases
            .iter()
            .map(|phase| Part {
                phase,
                spots: spots(phase, planes.row()),
                pieces: job.pieces(phase),
            })
            .collect();
        let out_chunks = c.out_channels.div_ceil(CHUNK);
        let blocks = (0..out_chunks).into_par_iter().step_by(MOST_CHUNKS).map(|first| {
            let chunks = MOST_CHUNKS.min(out_chunks - first);
            let parts = job
                .parts
                .iter()
                .map(|part| job.packed(part, first, chunks, weight, order))
                .collect();
            Block { first, chunks, parts }
        });
        job.blocks = blocks.collect();
        job
    }

    fn groups(&self) -> usize {
        self.c.in_channels.div_ceil(self.lanes)
    }

    /// Numbers from one group of channels to the next.
    fn group(&self) -> usize {
        self.planes.positions() * self.lanes
    }

    fn pieces(&self, phase: &Phase) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let runs = self.planes.runs(&phase.taps);
        for group in 0..self.groups() {
            for run in &runs {
                for start in (0..run.taps.len() * self.lanes).step_by(DEPTH) {
                    let weight = |number: usize| {
                        let channel = group * self.lanes + number % self.lanes;
                        let tap = run.taps.get(number / self.lanes)?;
                        (channel < self.c.in_channels).then_some((channel, *tap))
                    };
                    pieces.push(Piece {
                        offset: group * self.group() + run.position * self.lanes + start,
                        weights: (start..start + DEPTH).map(weight).collect(),
                    });
                }
            }
        }
        pieces
    }

    /// The steps of a phase, and the weights that they read: `[piece][out chunk][pair][output
    /// channel][2]`.
    fn packed(
        &self,
        part: &Part,
        first: usize,
        chunks: usize,
        weight: &[f32],
        order: WeightOrder,
    ) -> (Vec<[usize; 2]>, Vec<u16>) {
        let mut packed = vec![0; part.pieces.len() * chunks * NUMBERS];
        let outputs = (chunks * CHUNK).min(self.c.out_channels - first * CHUNK);
        for (piece, to) in part.pieces.iter().zip(packed.chunks_exact_mut(chunks * NUMBERS)) {
            for (number, at) in piece.weights.iter().enumerate() {
                let Some((channel, tap)) = at else { continue };
                let from =
                    &weight[first * CHUNK * order.out_step + channel * order.in_step + tap..];
                for output in 0..outputs {
                    let row = output / CHUNK * NUMBERS + number / 2 * DEPTH;
                    to[row + output % CHUNK * 2 + number % 2] =
                        narrow(from[output * order.out_step]);
                }
            }
        }
        let steps = part
            .pieces
            .iter()
            .enumerate()
            .map(|(index, piece)| [piece.offset, index * chunks * NUMBERS]);
        (steps.collect(), packed)
    }

    fn one_image<T: Tiles>(&self, tiles: &mut T, source: &[u16], target: &mut [Uninit16]) {
        with_scratch(|scratch| {
            // A tile may extend beyond the last position, by the rest of its rows and of its depth.
            let len = self.groups() * self.group() + ROWS * self.lanes + DEPTH;
            let buffer: &mut [u16] =
                bytemuck::cast_slice_mut(aligned(&mut scratch.source, len.div_ceil(2)));
            self.lay_out(source, buffer);
            for block in &self.blocks {
                let plane = self.c.plane() * CHUNK;
                let target = &mut target[block.first * plane..][..block.chunks * plane];
                for (part, (steps, weights)) in self.parts.iter().zip(&block.parts) {
                    for spots in part.spots.chunks(MOST_SPOTS) {
                        self.one_tile(
                            tiles,
                            buffer,
                            part,
                            spots,
                            block.chunks,
                            steps,
                            weights,
                            target,
                        );
                    }
                }
            }
        });
    }

    fn lay_out(&self, source: &[u16], buffer: &mut [u16]) {
        buffer.fill(0);
        let plane = self.c.padded.height * self.c.padded.width * CHUNK;
        for (index, chunk) in source.chunks_exact(plane).enumerate() {
            let channel = index * CHUNK;
            let to = &mut buffer[channel / self.lanes * self.group() + channel % self.lanes..];
            self.planes.fill(chunk, CHUNK.min(self.lanes), to, self.lanes);
        }
    }

    fn one_tile<T: Tiles>(
        &self,
        tiles: &mut T,
        buffer: &[u16],
        part: &Part,
        spots: &[Spot],
        chunks: usize,
        steps: &[[usize; 2]],
        weights: &[u16],
        target: &mut [Uninit16],
    ) {
        let mut sums = [0.0; MOST_SPOTS * ROWS * MOST_CHUNKS * CHUNK];
        let mut rounded = [Uninit16::new(0); MOST_SPOTS * ROWS * MOST_CHUNKS * CHUNK];
        let width = chunks * CHUNK;
        let mut starts = [0; MOST_SPOTS];
        starts.iter_mut().zip(spots).for_each(|(start, spot)| *start = spot.position * self.lanes);
        let tile_sums = TileSums {
            left: buffer,
            left_row: self.lanes,
            left_tiles: &starts[..spots.len()],
            right: weights,
            right_row: DEPTH,
            right_tiles: &[0, NUMBERS][..chunks],
            steps,
        };
        // SAFETY: the tiles are configured.
        unsafe { tile_sums.sum(tiles, &mut sums, width, false) };
        let made = spots.len() * ROWS * width;
        round(&sums[..made], &mut rounded[..made]);
        let c = self.c;
        for (spot, rounded) in spots.iter().zip(rounded.chunks_exact(ROWS * width)) {
            for [row, y, x] in &spot.outputs {
                let (y, x) =
                    (part.phase.first_row + y * c.step, part.phase.first_column + x * c.step);
                for (chunk, target) in target.chunks_exact_mut(c.plane() * CHUNK).enumerate() {
                    let from = &rounded[row * width + chunk * CHUNK..][..CHUNK];
                    target[(y * c.width + x) * CHUNK..][..CHUNK].copy_from_slice(from);
                }
            }
        }
    }
}
