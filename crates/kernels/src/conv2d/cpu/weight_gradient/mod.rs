//! The gradient with respect to the weight: sums over all images, in an order that depends only on
//! sizes.

mod channels;
mod pixels;

use rayon::prelude::*;

use super::super::problem::Problem;
use super::correlation::{input_taps, padded_input};
use super::pack::{Block, blocks};
use super::padded_image::PaddedImage;
use super::scratch::{Scratch, aligned, with_scratch};
use crate::simd::Isa;
use crate::transpose::transpose;

/// Images are summed in at most this many chunks, whose sums are then added in order.
const CHUNKS: usize = 16;

/// Largest number of floats in the sums of all chunks together; beyond, tasks divide outputs
/// instead of images.
const CHUNK_SUMS: usize = 4 << 20;

/// Number of output channels per group from which on vectors of them are well filled.
const FEW_CHANNELS: usize = 5;

/// Floats of the output gradient that stay in the L1 cache while all taps are summed.
const NEAR_FLOATS: usize = 4096;

/// Tiles of taps per task if tasks divide outputs: enough to read the output gradient from the
/// cache.
const TASK_TILES: usize = 32;

/// Shared by the tasks.
struct Sums<'a> {
    isa: Isa,
    p: &'a Problem,
    padded: PaddedImage,
    /// The offset of each input channel and tap, in the order of the weight.
    offsets: Vec<usize>,
    /// Blocks of the output channels of a group.
    blocks: Vec<Block>,
}

/// The gradient, `[out channels, in channels of a group, kernel height, kernel width]`.
pub(super) fn weight_gradient(isa: Isa, p: &Problem, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let padded = padded_input(p);
    let taps = input_taps(p, &padded);
    let offsets = (0..p.group_in())
        .flat_map(|channel| taps.iter().map(move |tap| channel * padded.plane() + tap.offset))
        .collect();
    let blocks = blocks(p.group_out(), channels::widths(isa));
    let sums = Sums { isa, p, padded, offsets, blocks };
    if p.group_out() < FEW_CHANNELS {
        sums.over_chunks(p.out_channels * sums.depth(), x, dy, Sums::add_planes)
    } else if CHUNKS * p.groups * sums.group_sums() <= CHUNK_SUMS {
        sums.in_weight_order(&sums.over_chunks(p.groups * sums.group_sums(), x, dy, Sums::add_taps))
    } else {
        sums.in_weight_order(&sums.over_outputs(x, dy))
    }
}

impl Sums<'_> {
    /// Products in one output: input channels times taps.
    fn depth(&self) -> usize {
        self.offsets.len()
    }

    /// Channels of a group, including those that pad blocks.
    fn width(&self) -> usize {
        self.blocks.iter().map(|b| b.width).sum()
    }

    /// Floats in the sums of a group, `[block][input channel and tap][channel of the block]`.
    fn group_sums(&self) -> usize {
        self.width() * self.depth()
    }

    fn images(&self, x: &[f32], dy: &[f32]) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (x_image, dy_image) =
            (self.p.in_channels * self.p.in_plane(), self.p.out_channels * self.p.out_plane());
        let images = x.len() / x_image;
        assert!(dy.len() == images * dy_image);
        (0..images).map(move |image| (image * x_image, image * dy_image))
    }

    /// Sums chunks of images in parallel, then adds the chunks.
    fn over_chunks(
        &self,
        len: usize,
        x: &[f32],
        dy: &[f32],
        add: fn(&Self, &[f32], &[f32], &mut [f32], &mut Scratch),
    ) -> Vec<f32> {
        let p = self.p;
        let images = p.batch.div_ceil(CHUNKS);
        let chunks: Vec<Vec<f32>> = x
            .par_chunks(images * p.in_channels * p.in_plane())
            .zip(dy.par_chunks(images * p.out_channels * p.out_plane()))
            .map(|(x, dy)| {
                let mut sums = vec![0.0; len];
                with_scratch(|scratch| add(self, x, dy, &mut sums, scratch));
                sums
            })
            .collect();
        let mut chunks = chunks.into_iter();
        let mut total = chunks.next().unwrap_or_default();
        for chunk in chunks {
            total.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
        }
        total
    }

    /// Adds the sums of some images, in the order of the weight, one pair of channels after the
    /// other.
    fn add_planes(&self, x: &[f32], dy: &[f32], sums: &mut [f32], scratch: &mut Scratch) {
        let p = self.p;
        let buffer = aligned(&mut scratch.source, self.padded.buffer(p.group_in()));
        for (x_image, dy_image) in self.images(x, dy) {
            for group in 0..p.groups {
                let x = &x[x_image + group * p.group_in() * p.in_plane()..]
                    [..p.group_in() * p.in_plane()];
                self.padded.fill(self.isa, x, buffer);
                for channel in group * p.group_out()..(group + 1) * p.group_out() {
                    let plane = pixels::Plane {
                        rows: p.out_height,
                        columns: p.out_width,
                        x: buffer,
                        x_row: self.padded.stride * self.padded.row(),
                        dy: &dy[dy_image + channel * p.out_plane()..][..p.out_plane()],
                    };
                    pixels::sum(
                        self.isa,
                        &plane,
                        &self.offsets,
                        &mut sums[channel * self.depth()..][..self.depth()],
                    );
                }
            }
        }
    }

    /// Adds the sums of some images, `[group][block][input channel and tap][channel of the block]`.
    fn add_taps(&self, x: &[f32], dy: &[f32], sums: &mut [f32], scratch: &mut Scratch) {
        let p = self.p;
        let buffer = aligned(&mut scratch.source, self.padded.buffer(p.group_in()));
        let tile = channels::tile(self.isa, self.depth());
        for (x_image, dy_image) in self.images(x, dy) {
            for (group, sums) in sums.chunks_exact_mut(self.group_sums()).enumerate() {
                self.padded.fill(
                    self.isa,
                    &x[x_image + group * p.group_in() * p.in_plane()..]
                        [..p.group_in() * p.in_plane()],
                    buffer,
                );
                let mut sums = sums;
                for block in &self.blocks {
                    let (these, others) = sums.split_at_mut(block.width * self.depth());
                    sums = others;
                    let lanes = aligned(&mut scratch.plane, p.out_plane() * block.width);
                    self.to_lanes(&dy[dy_image..], group, block, lanes);
                    let rows = (NEAR_FLOATS / (p.out_width * block.width)).clamp(1, p.out_height);
                    for first in (0..p.out_height).step_by(rows) {
                        let sums_over = channels::Pixels {
                            images: 1,
                            rows: rows.min(p.out_height - first),
                            columns: p.out_width,
                            x: &buffer[first * self.padded.stride * self.padded.row()..],
                            x_image: 0,
                            x_row: self.padded.stride * self.padded.row(),
                            dy: &lanes[first * p.out_width * block.width..],
                            dy_image: 0,
                        };
                        for (offsets, sums) in
                            self.offsets.chunks(tile).zip(these.chunks_mut(tile * block.width))
                        {
                            channels::sum(self.isa, &sums_over, offsets, block.width, sums, true);
                        }
                    }
                }
            }
        }
    }

    /// All sums, `[group][block][input channel and tap][channel of the block]`, divided between
    /// tasks.
    fn over_outputs(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let p = self.p;
        let starts: Vec<(usize, usize)> = self.images(x, dy).collect();
        let group_padded = self.padded.buffer(p.group_in()).next_multiple_of(16);
        let (x_image, dy_image) =
            (p.groups * group_padded, p.groups * self.width() * p.out_plane());
        let (mut buffer, mut lanes) = (Vec::new(), Vec::new());
        let buffer = aligned(&mut buffer, p.batch * x_image);
        let lanes = aligned(&mut lanes, p.batch * dy_image);
        starts
            .par_iter()
            .zip(buffer.par_chunks_exact_mut(x_image))
            .zip(lanes.par_chunks_exact_mut(dy_image))
            .for_each(|((&(x_start, dy_start), buffer), lanes)| {
                let mut lanes = lanes;
                for (group, buffer) in buffer.chunks_exact_mut(group_padded).enumerate() {
                    let x = &x[x_start + group * p.group_in() * p.in_plane()..]
                        [..p.group_in() * p.in_plane()];
                    self.padded.fill(self.isa, x, buffer);
                    for block in &self.blocks {
                        let (these, others) = lanes.split_at_mut(block.width * p.out_plane());
                        lanes = others;
                        self.to_lanes(&dy[dy_start..], group, block, these);
                    }
                }
            });
        let (buffer, lanes) = (&*buffer, &*lanes);
        let mut sums = vec![0.0; p.groups * self.group_sums()];
        let tile = channels::tile(self.isa, self.depth());
        let mut tasks = Vec::new();
        let mut rest = sums.as_mut_slice();
        let mut lanes_start = 0;
        for group in 0..p.groups {
            for block in &self.blocks {
                let (these, others) = rest.split_at_mut(block.width * self.depth());
                rest = others;
                let (x, dy) = (&buffer[group * group_padded..], &lanes[lanes_start..]);
                lanes_start += block.width * p.out_plane();
                let parts = self
                    .offsets
                    .chunks(TASK_TILES * tile)
                    .zip(these.chunks_mut(TASK_TILES * tile * block.width));
                tasks.extend(parts.map(|(offsets, sums)| (x, dy, offsets, block.width, sums)));
            }
        }
        tasks.into_par_iter().for_each(|(x, dy, offsets, width, sums)| {
            let images = (NEAR_FLOATS / (p.out_plane() * width)).max(1);
            for first in (0..p.batch).step_by(images) {
                let sums_over = channels::Pixels {
                    images: images.min(p.batch - first),
                    rows: p.out_height,
                    columns: p.out_width,
                    x: &x[first * x_image..],
                    x_image,
                    x_row: self.padded.stride * self.padded.row(),
                    dy: &dy[first * dy_image..],
                    dy_image,
                };
                for (offsets, sums) in offsets.chunks(tile).zip(sums.chunks_mut(tile * width)) {
                    channels::sum(self.isa, &sums_over, offsets, width, sums, first > 0);
                }
            }
        });
        sums
    }

    /// The output gradient of an image with the channels of a block as lanes, `[pixel][channel]`.
    fn to_lanes(&self, dy: &[f32], group: usize, block: &Block, lanes: &mut [f32]) {
        let plane = self.p.out_plane();
        let from = &dy[(group * self.p.group_out() + block.first) * plane..];
        if block.channels < block.width {
            lanes.fill(0.0);
        }
        transpose(self.isa, [block.channels, plane], from, plane, lanes, block.width);
    }

    /// Reorders `[group][block][input channel and tap][channel]` to `[group][channel][input channel
    /// and tap]`.
    fn in_weight_order(&self, sums: &[f32]) -> Vec<f32> {
        let (p, depth) = (self.p, self.depth());
        let mut weight = vec![0.0; p.out_channels * depth];
        let mut rest = weight.as_mut_slice();
        let mut tasks = Vec::new();
        let mut start = 0;
        for _ in 0..p.groups {
            for block in &self.blocks {
                let (these, others) = rest.split_at_mut(block.channels * depth);
                rest = others;
                tasks.push((&sums[start..][..depth * block.width], block, these));
                start += depth * block.width;
            }
        }
        tasks.into_par_iter().for_each(|(sums, block, weight)| {
            transpose(self.isa, [depth, block.channels], sums, block.width, weight, depth);
        });
        weight
    }
}
