//! The gradient with respect to the weight: rows are input channels (or taps, if there are few
//! channels), depth is positions.

use rayon::prelude::*;

use super::super::super::super::problem::Problem;
use super::super::super::correlation::{input_taps, padded_input};
use super::super::super::scratch::{aligned, with_scratch, with_shared};
use super::super::dots::{CHUNK, MOST_CHUNKS};
use super::super::weight_gradient::interleaved;
use super::planes::{Planes, Run};
use crate::simd::Isa;
use crate::simd::tiles::{DEPTH, NUMBERS, ROWS, TileSums, Tiles, with_tiles};
use crate::transpose::transpose;

/// Tile products that all sums of a task process before the next ones, so that the x and dy they
/// read stay in the cache.
const NEAR_STEPS: usize = 32;

/// Target number of tasks, for any number of threads.
const TASKS: usize = 16;

/// Largest number of row tiles summed at a time.
const MOST_TILES: usize = 2;

/// Sixteen rows of sums.
struct Rows {
    /// Offset of the first row, in numbers of an image.
    start: usize,
    /// Input channel and tap of each existing row.
    weights: Vec<(usize, usize)>,
}

/// The layout of both operands: x by channel, `[channel][position]`, dy in tiles, `[chunk][32
/// positions][pair][channel][2]`.
struct Sources<'a> {
    p: &'a Problem,
    planes: Planes,
    /// Numbers per channel of x.
    channel: usize,
    /// Tiles of positions.
    depth: usize,
}

/// The gradient, `[out channels, in channels, kernel height, kernel width]`, of one group of
/// channels.
///
/// # Safety
///
/// The processor has the instructions of `T`.
pub(in super::super) unsafe fn weight_gradient<T: Tiles>(
    isa: Isa,
    p: &Problem,
    x: &[u16],
    dy: &[u16],
) -> Vec<f32> {
    let sources = Sources::new(p);
    // Tiles that are summed together read the same channels, or neighboring taps.
    let (rows, apart) = sources.rows();
    let pairs: Vec<&[Rows]> = rows.chunks(MOST_TILES).collect();
    let out_chunks = p.out_channels.div_ceil(CHUNK);
    let blocks: Vec<(usize, usize)> = (0..out_chunks)
        .step_by(MOST_CHUNKS)
        .map(|first| (first, MOST_CHUNKS.min(out_chunks - first)))
        .collect();
    let each = (pairs.len() * blocks.len()).div_ceil(TASKS);
    let tasks: Vec<((usize, usize), &[&[Rows]])> =
        blocks.iter().flat_map(|block| pairs.chunks(each).map(|pairs| (*block, pairs))).collect();
    let depth = p.in_channels * p.taps();
    let mut weight = vec![0.0; p.out_channels * depth];
    with_shared(|shared| {
        let (x_image, dy_image) = (sources.x_image(), sources.dy_image());
        let images: &mut [u16] = bytemuck::cast_slice_mut(aligned(
            &mut shared.tiles,
            (p.batch * (x_image + dy_image)).div_ceil(2),
        ));
        let (xs, dys) = images.split_at_mut(p.batch * x_image);
        let dys = &mut dys[..p.batch * dy_image];
        xs.par_chunks_exact_mut(x_image)
            .zip(dys.par_chunks_exact_mut(dy_image))
            .zip(x.par_chunks_exact(x.len() / p.batch).zip(dy.par_chunks_exact(dy.len() / p.batch)))
            .for_each(|((xs, dys), (x, dy))| sources.lay_out(isa, x, dy, xs, dys));
        let (xs, dys) = (&*xs, &*dys);
        let together = (NEAR_STEPS / sources.depth).clamp(1, p.batch);
        let step = |image: usize, tile: usize| {
            [image * x_image + tile * DEPTH, image * dy_image + tile * NUMBERS]
        };
        let steps: Vec<[usize; 2]> = (0..together)
            .flat_map(|image| (0..sources.depth).map(move |tile| step(image, tile)))
            .collect();
        let sums: Vec<Vec<f32>> = tasks
            .par_iter()
            .map(|((first, chunks), pairs)| {
                let width = chunks * CHUNK;
                let most = MOST_TILES * ROWS * width;
                let mut sums = vec![0.0; pairs.len() * most];
                let chunk = sources.depth * NUMBERS;
                let add = |tiles: &mut T| {
                    for image in (0..p.batch).step_by(together) {
                        let images = together.min(p.batch - image);
                        for (rows, sums) in pairs.iter().zip(sums.chunks_exact_mut(most)) {
                            let mut starts = [0; MOST_TILES];
                            starts
                                .iter_mut()
                                .zip(*rows)
                                .for_each(|(start, rows)| *start = rows.start);
                            let tile_sums = TileSums {
                                left: &xs[image * x_image..],
                                left_row: apart,
                                left_tiles: &starts[..rows.len()],
                                right: &dys[image * dy_image + first * chunk..],
                                right_row: DEPTH,
                                right_tiles: &[0, chunk][..*chunks],
                                steps: &steps[..images * sources.depth],
                            };
                            // SAFETY: the tiles are configured.
                            unsafe { tile_sums.sum(tiles, sums, width, image > 0) };
                        }
                    }
                };
                // SAFETY: the caller guarantees the instructions; a task runs on one thread.
                unsafe { with_tiles::<T, _>(add) };
                sums
            })
            .collect();
        // Reorders to the order of the weight; the tasks of a block are consecutive.
        let of_blocks = sums.par_chunks(pairs.len().div_ceil(each));
        weight.par_chunks_mut(MOST_CHUNKS * CHUNK * depth).zip(of_blocks).zip(&blocks).for_each(
            |((weight, sums), (_, chunks))| {
                let (width, outputs) = (chunks * CHUNK, weight.len() / depth);
                let of_rows =
                    sums.iter().flat_map(|sums| sums.chunks_exact(MOST_TILES * ROWS * width));
                for (rows, sums) in pairs.iter().zip(of_rows) {
                    for (rows, sums) in rows.iter().zip(sums.chunks_exact(ROWS * width)) {
                        for ((channel, tap), sums) in
                            rows.weights.iter().zip(sums.chunks_exact(width))
                        {
                            let to = weight[channel * p.taps() + tap..].iter_mut().step_by(depth);
                            to.zip(&sums[..outputs]).for_each(|(to, sum)| *to = *sum);
                        }
                    }
                }
            },
        );
    });
    weight
}

impl<'a> Sources<'a> {
    fn new(p: &'a Problem) -> Self {
        let planes = Planes::new(padded_input(p));
        let depth = ((p.out_height - 1) * planes.row() + p.out_width).div_ceil(DEPTH);
        // Space for reads beyond the last position, and an odd number of cache lines, so that
        // sixteen channels do not share a cache set.
        let channel = ((planes.positions() + 2 * DEPTH).div_ceil(DEPTH) | 1) * DEPTH;
        Self { p, planes, channel, depth }
    }

    fn x_image(&self) -> usize {
        self.p.in_channels.div_ceil(CHUNK) * CHUNK * self.channel
    }

    fn dy_image(&self) -> usize {
        self.p.out_channels.div_ceil(CHUNK) * self.depth * NUMBERS
    }

    /// All rows, and the distance between rows of a tile in numbers.
    fn rows(&self) -> (Vec<Rows>, usize) {
        let p = self.p;
        let runs = self.planes.runs(&input_taps(p, &padded_input(p)));
        let of_taps = |channel: usize, run: &Run| {
            let rows = |(index, taps): (usize, &[usize])| Rows {
                start: channel * self.channel + run.position + index * ROWS,
                weights: taps.iter().map(|tap| (channel, *tap)).collect(),
            };
            run.taps.chunks(ROWS).enumerate().map(rows).collect::<Vec<_>>()
        };
        let by_tap: usize =
            runs.iter().map(|run| p.in_channels * run.taps.len().div_ceil(ROWS)).sum();
        if by_tap < p.taps() * p.in_channels.div_ceil(CHUNK) {
            let channels = (0..p.in_channels)
                .flat_map(|channel| runs.iter().flat_map(move |run| of_taps(channel, run)));
            return (channels.collect(), 1);
        }
        let of_chunk = |first: usize| {
            let channels = first..(first + CHUNK).min(p.in_channels);
            let taps = runs.iter().flat_map(|run| (run.position..).zip(&run.taps));
            taps.map(move |(position, tap)| Rows {
                start: first * self.channel + position,
                weights: channels.clone().map(|channel| (channel, *tap)).collect(),
            })
        };
        ((0..p.in_channels).step_by(CHUNK).flat_map(of_chunk).collect(), self.channel)
    }

    /// Lays out one image of each operand.
    fn lay_out(&self, isa: Isa, x: &[u16], dy: &[u16], xs: &mut [u16], dys: &mut [u16]) {
        let p = self.p;
        with_scratch(|scratch| {
            let numbers = self.channel.max(self.depth * DEPTH) * CHUNK;
            let buffer: &mut [u16] =
                bytemuck::cast_slice_mut(aligned(&mut scratch.source, numbers.div_ceil(2)));
            let paired = aligned(&mut scratch.plane, numbers.div_ceil(2));
            // Two positions of a channel have as many bits as a float, so they are transposed as
            // floats.
            let pixels = &mut buffer[..self.channel * CHUNK];
            pixels.fill(0);
            let planes = x
                .chunks_exact(p.height * p.width * CHUNK)
                .zip(xs.chunks_exact_mut(self.channel * CHUNK));
            for (x, to) in planes {
                self.planes.fill(x, CHUNK, pixels, CHUNK);
                let paired = &mut paired[..self.channel / 2 * CHUNK];
                interleaved(pixels, bytemuck::cast_slice_mut(paired));
                let to: &mut [f32] = bytemuck::cast_slice_mut(to);
                transpose(isa, [self.channel / 2, CHUNK], paired, CHUNK, to, self.channel / 2);
            }
            let pixels = &mut buffer[..self.depth * DEPTH * CHUNK];
            pixels.fill(0);
            let planes = dy
                .chunks_exact(p.out_height * p.out_width * CHUNK)
                .zip(dys.chunks_exact_mut(self.depth * NUMBERS));
            for (dy, to) in planes {
                let rows = dy
                    .chunks_exact(p.out_width * CHUNK)
                    .zip(pixels.chunks_mut(self.planes.row() * CHUNK));
                rows.for_each(|(dy, to)| to[..dy.len()].copy_from_slice(dy));
                interleaved(pixels, to);
            }
        });
    }
}
