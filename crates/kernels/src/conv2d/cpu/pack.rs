//! Weights in the order in which the kernels read them.

use rayon::prelude::*;

use super::correlation::Correlation;
use super::scratch::aligned;

/// The kernel from input channel `i` to output channel `o` of a group starts at `o * out_step + i *
/// in_step`.
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightOrder {
    pub out_step: usize,
    pub in_step: usize,
}

/// Output channels that a kernel computes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub first: usize,
    /// Channels that exist.
    pub channels: usize,
    /// Channels that the kernel computes; the additional ones have weight zero.
    pub width: usize,
}

/// Splits channels into blocks of the largest of `widths` (descending) that is filled, or else the
/// smallest.
pub(super) fn blocks(channels: usize, widths: &[usize]) -> Vec<Block> {
    let mut first = 0;
    let mut blocks = Vec::new();
    while first < channels {
        let left = channels - first;
        // A wide block that is nearly full costs less than two narrow ones.
        let width = widths.iter().copied().find(|&w| w <= left).unwrap_or(widths[widths.len() - 1]);
        blocks.push(Block { first, channels: width.min(left), width });
        first += width.min(left);
    }
    blocks
}

/// The weights of all groups and phases: `[group][phase][block][input channel][tap][width of
/// block]`.
pub(super) struct Packed {
    buffer: Vec<f32>,
    start: usize,
    /// Start of each phase, and floats per group.
    phases: Vec<usize>,
    group: usize,
}

impl Packed {
    pub(super) fn new(
        c: &Correlation,
        groups: usize,
        blocks: &[Block],
        weight: &[f32],
        order: WeightOrder,
    ) -> Self {
        let width: usize = blocks.iter().map(|b| b.width).sum();
        let mut phases = Vec::new();
        let mut group = 0;
        for phase in &c.phases {
            phases.push(group);
            group += phase.taps.len() * c.in_channels * width;
        }
        let mut buffer = Vec::new();
        let packed = aligned(&mut buffer, groups * group);
        let group_weights = weight.len() / groups;
        let mut rest = packed;
        let mut parts = Vec::new();
        for g in 0..groups {
            for phase in &c.phases {
                for &block in blocks {
                    let (part, after) =
                        rest.split_at_mut(block.width * c.in_channels * phase.taps.len());
                    parts.push((part, &weight[g * group_weights..][..group_weights], phase, block));
                    rest = after;
                }
            }
        }
        parts.into_par_iter().for_each(|(part, weight, phase, block)| {
            let mut lanes = part.chunks_exact_mut(block.width);
            for channel in 0..c.in_channels {
                for tap in &phase.taps {
                    let from = &weight
                        [block.first * order.out_step + channel * order.in_step + tap.index..];
                    let to = lanes.next().expect("lanes for every channel and tap");
                    let (to, none) = to.split_at_mut(block.channels);
                    to.iter_mut()
                        .zip(from.iter().step_by(order.out_step))
                        .for_each(|(to, from)| *to = *from);
                    none.fill(0.0);
                }
            }
        });
        let start = buffer.as_ptr().align_offset(64).min(buffer.len() - groups * group);
        Self { buffer, start, phases, group }
    }

    /// The weights of one group and phase.
    pub(super) fn get(&self, group: usize, phase: usize) -> &[f32] {
        let end = self.phases.get(phase + 1).copied().unwrap_or(self.group);
        &self.buffer[self.start + group * self.group..][self.phases[phase]..end]
    }
}
