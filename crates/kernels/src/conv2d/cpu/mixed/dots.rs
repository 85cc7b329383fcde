//! Sums of products of channel pairs, in registers: a few pixels by one or two chunks of output
//! channels.

use crate::simd::{Bf16, Isa, Vector, bf16_instance, compiled_for_bf16};

/// Pixels that the kernel processes at a time.
pub(in super::super) const PIXELS: usize = 8;

/// Largest number of output chunks that it computes at a time.
pub(in super::super) const MOST_CHUNKS: usize = 2;

/// Channels per chunk, and the pairs they form.
pub(in super::super) const CHUNK: usize = 16;
const PAIRS: usize = CHUNK / 2;

/// The sums to compute for some pixels.
pub(in super::super) struct Dots<'a> {
    /// Where the first pixel reads tap offset 0 of the first chunk.
    pub source: &'a [u16],
    /// Pixels per row, 8 or 4, and the distance between rows in numbers.
    pub columns: usize,
    pub row_step: usize,
    /// Chunks of input channels, and the distance between them in numbers.
    pub chunks: usize,
    pub plane: usize,
    /// Channels of the last chunk that exist.
    pub last: usize,
    /// The offset of each tap in numbers.
    pub taps: &'a [usize],
    /// `[chunk][tap][pair of input channels][output channel][2]`; the last chunk has only the pairs
    /// that exist.
    pub weights: &'a [u16],
    /// Chunks of output channels, 1 or 2.
    pub outputs: usize,
}

struct Arguments<'a> {
    dots: &'a Dots<'a>,
    /// `[pixel][output channel]`
    sums: *mut f32,
}

/// # Safety
///
/// Everything that the sizes describe lies within the slices, `sums` is large enough, and the
/// processor has the instructions.
#[inline(always)]
unsafe fn dots<V: Vector, B: Bf16<V>, const VECTORS: usize, const COLUMNS: usize>(
    arguments: &Arguments,
) {
    let d = arguments.dots;
    // SAFETY: the caller guarantees access to every pixel, tap and pair.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; PIXELS];
        let mut weights = d.weights.as_ptr();
        for chunk in 0..d.chunks {
            let pairs = if chunk + 1 == d.chunks { d.last.div_ceil(2) } else { PAIRS };
            for tap in d.taps {
                let source = d.source.as_ptr().add(chunk * d.plane + tap);
                for pair in 0..pairs {
                    let factors: [B::Pairs; VECTORS] =
                        std::array::from_fn(|v| B::load_pairs(weights.add(2 * v * V::LANES)));
                    for pixel in 0..PIXELS {
                        let at = source
                            .add(pixel / COLUMNS * d.row_step + pixel % COLUMNS * CHUNK + 2 * pair);
                        let value = B::splat_pair(at);
                        for v in 0..VECTORS {
                            sums[pixel][v] = B::add_dot(sums[pixel][v], value, factors[v]);
                        }
                    }
                    weights = weights.add(2 * VECTORS * V::LANES);
                }
            }
        }
        for pixel in 0..PIXELS {
            for v in 0..VECTORS {
                sums[pixel][v].store(arguments.sums.add((pixel * VECTORS + v) * V::LANES));
            }
        }
    }
}

compiled_for_bf16!(dots, Arguments, VECTORS, COLUMNS);

impl Dots<'_> {
    /// Size of the weights in numbers.
    pub(in super::super) fn weights(
        chunks: usize,
        last: usize,
        taps: usize,
        outputs: usize,
    ) -> usize {
        ((chunks - 1) * PAIRS + last.div_ceil(2)) * taps * outputs * CHUNK * 2
    }

    /// Writes the sums, `[pixel][output channel]`.
    pub(in super::super) fn sum(&self, isa: Isa, sums: &mut [f32]) {
        let reach = self.taps.iter().max().map_or(0, |tap| {
            let rows = PIXELS / self.columns;
            tap + (self.chunks - 1) * self.plane + (rows - 1) * self.row_step + self.columns * CHUNK
        });
        assert!(reach <= self.source.len(), "a pixel extends beyond its source");
        assert!(
            Self::weights(self.chunks, self.last, self.taps.len(), self.outputs)
                <= self.weights.len()
        );
        assert!(
            PIXELS * self.outputs * CHUNK <= sums.len()
                && (1..=MOST_CHUNKS).contains(&self.outputs)
        );
        let arguments = Arguments { dots: self, sums: sums.as_mut_ptr() };
        let kernel: unsafe fn(&Arguments) = match (isa.wide(), self.outputs, self.columns) {
            (true, 1, 8) => bf16_instance!(isa, dots, 1, 8),
            (true, 1, 4) => bf16_instance!(isa, dots, 1, 4),
            (true, 2, 8) => bf16_instance!(isa, dots, 2, 8),
            (true, 2, 4) => bf16_instance!(isa, dots, 2, 4),
            (false, 1, 8) => bf16_instance!(isa, dots, 2, 8),
            (false, 1, 4) => bf16_instance!(isa, dots, 2, 4),
            (false, 2, 8) => bf16_instance!(isa, dots, 4, 8),
            (false, 2, 4) => bf16_instance!(isa, dots, 4, 4),
            _ => unreachable!("rows of 8 or 4 pixels"),
        };
        // SAFETY: the assertions above cover all reads and writes; the instruction set was
        // detected.
        unsafe { kernel(&arguments) }
    }
}
