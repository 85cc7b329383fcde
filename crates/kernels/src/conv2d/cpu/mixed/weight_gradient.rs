//! The gradient with respect to the weight, summed over pairs of neighboring outputs.

use rayon::prelude::*;

use super::super::super::problem::Problem;
use super::super::correlation::{input_taps, padded_input};
use super::super::padded_image::PaddedImage;
use super::super::scratch::{aligned, with_scratch, with_shared};
use super::dots::{CHUNK, MOST_CHUNKS};
use super::padded;
use super::pair_sums::{PAIR, PairSums, ROWS};
use crate::simd::Isa;

/// Pairs of pixels that all sums of a task process before the next ones.
const NEAR_PAIRS: usize = 256;

/// Largest number of row groups per task.
const TASK_GROUPS: usize = 32;

/// Target number of tasks, for any number of threads.
const TASKS: usize = 16;

/// The gradient, `[out channels, in channels, kernel height, kernel width]`, of one group of
/// channels.
pub(super) fn weight_gradient(isa: Isa, p: &Problem, x: &[u16], dy: &[u16]) -> Vec<f32> {
    let sources = Sources::new(p);
    let offsets = sources.offsets(p);
    let depth = offsets.len();
    let groups: Vec<[usize; ROWS]> = offsets
        .chunks(ROWS)
        .map(|rows| std::array::from_fn(|row| rows.get(row).copied().unwrap_or(rows[0])))
        .collect();
    let out_chunks = p.out_channels.div_ceil(CHUNK);
    let blocks: Vec<(usize, usize)> = (0..out_chunks)
        .step_by(MOST_CHUNKS)
        .map(|first| (first, MOST_CHUNKS.min(out_chunks - first)))
        .collect();
    let each = (groups.len() * blocks.len()).div_ceil(TASKS).clamp(1, TASK_GROUPS);
    with_shared(|shared| {
        let (pairs_of_x, pairs_of_dy) = (sources.x_image(), sources.dy_image());
        let images: &mut [u16] = bytemuck::cast_slice_mut(aligned(
            &mut shared.tiles,
            (p.batch * (pairs_of_x + pairs_of_dy)).div_ceil(2),
        ));
        let (xs, dys) = images.split_at_mut(p.batch * pairs_of_x);
        let dys = &mut dys[..p.batch * pairs_of_dy];
        xs.par_chunks_exact_mut(pairs_of_x)
            .zip(dys.par_chunks_exact_mut(pairs_of_dy))
            .zip(x.par_chunks_exact(x.len() / p.batch).zip(dy.par_chunks_exact(dy.len() / p.batch)))
            .for_each(|((xs, dys), (x, dy))| sources.pair(x, dy, xs, dys));
        let (xs, dys) = (&*xs, &*dys);
        let tasks: Vec<((usize, usize), &[[usize; ROWS]])> = blocks
            .iter()
            .flat_map(|block| groups.chunks(each).map(|groups| (*block, groups)))
            .collect();
        let together = (NEAR_PAIRS / (p.out_height * sources.line_pairs)).max(1);
        let sums: Vec<Vec<f32>> = tasks
            .par_iter()
            .map(|((first, chunks), groups)| {
                let width = ROWS * chunks * CHUNK;
                let mut sums = vec![0.0; groups.len() * width];
                for image in (0..p.batch).step_by(together) {
                    for (offsets, sums) in groups.iter().zip(sums.chunks_exact_mut(width)) {
                        let pair_sums = PairSums {
                            images: together.min(p.batch - image),
                            lines: p.out_height,
                            pairs: sources.line_pairs,
                            x: &xs[image * pairs_of_x..],
                            offsets: *offsets,
                            x_image: pairs_of_x,
                            x_line: sources.padded.stride * sources.padded.row() * CHUNK,
                            dy: &dys[image * pairs_of_dy + first * sources.dy_chunk()..],
                            dy_image: pairs_of_dy,
                            dy_chunk: sources.dy_chunk(),
                            outputs: *chunks,
                        };
                        pair_sums.sum(isa, sums, image > 0);
                    }
                }
                sums
            })
            .collect();
        // Reorders to the order of the weight.
        let mut weight = vec![0.0; p.out_channels * depth];
        let step = MOST_CHUNKS * CHUNK * depth;
        let of_blocks = sums.par_chunks_exact(sums.len() / blocks.len());
        weight.par_chunks_mut(step).zip(of_blocks).zip(&blocks).for_each(
            |((weight, sums), (_, chunks))| {
                let rows = sums.iter().flat_map(|sums| sums.chunks_exact(chunks * CHUNK));
                for (row, sums) in rows.enumerate().take(depth) {
                    // Rows are ordered by chunk, tap and channel of the chunk.
                    let index = sources.weight_index(p, row);
                    weight
                        .iter_mut()
                        .skip(index)
                        .step_by(depth)
                        .zip(sums)
                        .for_each(|(weight, sum)| *weight = *sum);
                }
            },
        );
        weight
    })
}

/// The layout of both operands as pairs of neighbors.
struct Sources {
    padded: PaddedImage,
    in_chunks: usize,
    out_chunks: usize,
    /// Number of rows of outputs of an image, and of columns.
    rows: usize,
    columns: usize,
    /// Pairs of outputs per row; the last pair may contain a zero.
    line_pairs: usize,
}

impl Sources {
    fn new(p: &Problem) -> Self {
        let mut padded = padded_input(p);
        // Each row begins with a pair, and its last pair exists.
        padded.run = padded.run.max(p.out_width.next_multiple_of(2)).next_multiple_of(2);
        Self {
            padded,
            in_chunks: p.in_channels.div_ceil(CHUNK),
            out_chunks: p.out_channels.div_ceil(CHUNK),
            rows: p.out_height,
            columns: p.out_width,
            line_pairs: p.out_width.div_ceil(2),
        }
    }

    /// Numbers of the padded chunk, as pairs that begin with even or with odd pixels.
    fn x_plane(&self) -> usize {
        self.padded.plane() * CHUNK
    }

    /// Numbers of an image of x: every chunk in both versions, and what the last rows may read
    /// beyond.
    fn x_image(&self) -> usize {
        2 * self.in_chunks * self.x_plane() + self.padded.row() * CHUNK
    }

    fn dy_chunk(&self) -> usize {
        self.rows * self.line_pairs * PAIR
    }

    fn dy_image(&self) -> usize {
        self.out_chunks * self.dy_chunk()
    }

    /// The offset of each row, in the order of chunk, tap, channel.
    fn offsets(&self, p: &Problem) -> Vec<usize> {
        let taps = input_taps(p, &self.padded);
        let of_chunk = |chunk: usize| {
            let channels = CHUNK.min(p.in_channels - chunk * CHUNK);
            taps.iter()
                .flat_map(move |tap| {
                    let start =
                        (2 * chunk + tap.offset % 2) * self.x_plane() + tap.offset / 2 * PAIR;
                    (0..channels).map(move |channel| start + 2 * channel)
                })
                .collect::<Vec<_>>()
        };
        (0..self.in_chunks).flat_map(of_chunk).collect()
    }

    /// The index of row `row` in the weight of an output.
    fn weight_index(&self, p: &Problem, row: usize) -> usize {
        let (chunk, rest) = (row / (CHUNK * p.taps()), row % (CHUNK * p.taps()));
        let channels = CHUNK.min(p.in_channels - chunk * CHUNK);
        (chunk * CHUNK + rest % channels) * p.taps() + rest / channels
    }

    /// Lays out one image of each operand.
    fn pair(&self, x: &[u16], dy: &[u16], xs: &mut [u16], dys: &mut [u16]) {
        with_scratch(|scratch| {
            let padded: &mut [u16] = bytemuck::cast_slice_mut(aligned(
                &mut scratch.source,
                padded::buffer(&self.padded, self.in_chunks).div_ceil(2),
            ));
            padded::fill(&self.padded, x, padded);
            let (whole, rest) = xs.split_at_mut(2 * self.in_chunks * self.x_plane());
            rest.fill(0);
            for (chunk, to) in whole.chunks_exact_mut(2 * self.x_plane()).enumerate() {
                let (even, odd) = to.split_at_mut(self.x_plane());
                // The pixel after the last is the next chunk's, or slack; it is multiplied by zero.
                interleaved(&padded[chunk * self.x_plane()..][..self.x_plane()], even);
                let from = &padded[chunk * self.x_plane() + CHUNK..][..self.x_plane()];
                interleaved(from, odd);
            }
        });
        let planes = dy
            .chunks_exact(self.rows * self.columns * CHUNK)
            .zip(dys.chunks_exact_mut(self.dy_chunk()));
        for (dy, to) in planes {
            for (dy, to) in dy
                .chunks_exact(self.columns * CHUNK)
                .zip(to.chunks_exact_mut(self.line_pairs * PAIR))
            {
                let pairs = dy.len() / PAIR;
                interleaved(&dy[..pairs * PAIR], &mut to[..pairs * PAIR]);
                if pairs < self.line_pairs {
                    for (to, from) in to[pairs * PAIR..]
                        .as_chunks_mut::<2>()
                        .0
                        .iter_mut()
                        .zip(&dy[pairs * PAIR..])
                    {
                        *to = [*from, 0];
                    }
                }
            }
        }
    }
}

crate::simd::vectorized! {
    /// Turns pairs of pixels into pairs of numbers of each channel.
    pub(super) fn interleaved(from: &[u16], to: &mut [u16]) {
        for (to, from) in to.as_chunks_mut::<PAIR>().0.iter_mut().zip(from.as_chunks::<PAIR>().0) {
            for channel in 0..CHUNK {
                to[2 * channel] = from[channel];
                to[2 * channel + 1] = from[CHUNK + channel];
            }
        }
    }
}
