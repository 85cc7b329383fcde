//! Sums over pairs of pixels (or tiles), in registers: eight rows by one or two chunks of output
//! channels.

use super::dots::{CHUNK, MOST_CHUNKS};
use crate::simd::{Bf16, Isa, Vector, bf16_instance, compiled_for_bf16};

/// Rows that the kernel computes at a time.
pub(in super::super) const ROWS: usize = 8;

/// Numbers in a pair of pixels of a chunk.
pub(in super::super) const PAIR: usize = 2 * CHUNK;

/// The sums to compute: over images, lines of each, and pairs in a line.
#[derive(Clone, Copy)]
pub(in super::super) struct PairSums<'a> {
    pub images: usize,
    pub lines: usize,
    pub pairs: usize,
    /// One factor: row `r` reads two numbers at `offsets[r]`, and [`PAIR`] further for each next
    /// pair.
    pub x: &'a [u16],
    pub offsets: [usize; ROWS],
    pub x_image: usize,
    pub x_line: usize,
    /// The other factor, `[line][pair][output channel of a chunk][2]` in every image, with chunks
    /// `dy_chunk` apart.
    pub dy: &'a [u16],
    pub dy_image: usize,
    pub dy_chunk: usize,
    /// Chunks of output channels, 1 or 2.
    pub outputs: usize,
}

struct Arguments<'a> {
    pair_sums: &'a PairSums<'a>,
    /// `[row][output channel]`
    sums: *mut f32,
    resume: bool,
}

/// # Safety
///
/// Everything that the sizes describe lies within the slices, `sums` is large enough, and the
/// processor has the instructions.
#[inline(always)]
unsafe fn pair_sums<V: Vector, B: Bf16<V>, const VECTORS: usize>(arguments: &Arguments) {
    let p = arguments.pair_sums;
    // SAFETY: the caller guarantees access to every image, line, pair and row.
    unsafe {
        let at = |row: usize, v: usize| arguments.sums.add((row * VECTORS + v) * V::LANES);
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        if arguments.resume {
            for row in 0..ROWS {
                for v in 0..VECTORS {
                    sums[row][v] = V::load(at(row, v));
                }
            }
        }
        for image in 0..p.images {
            let mut dy = p.dy.as_ptr().add(image * p.dy_image);
            for line in 0..p.lines {
                let x = p.x.as_ptr().add(image * p.x_image + line * p.x_line);
                let rows: [*const u16; ROWS] = std::array::from_fn(|row| x.add(p.offsets[row]));
                for pair in 0..p.pairs {
                    let factors: [B::Pairs; VECTORS] = std::array::from_fn(|v| {
                        let (chunk, lane) = (v * V::LANES / CHUNK, v * V::LANES % CHUNK);
                        B::load_pairs(dy.add(chunk * p.dy_chunk + 2 * lane))
                    });
                    for row in 0..ROWS {
                        let value = B::splat_pair(rows[row].add(pair * PAIR));
                        for v in 0..VECTORS {
                            sums[row][v] = B::add_dot(sums[row][v], value, factors[v]);
                        }
                    }
                    dy = dy.add(PAIR);
                }
            }
        }
        for row in 0..ROWS {
            for v in 0..VECTORS {
                sums[row][v].store(at(row, v));
            }
        }
    }
}

compiled_for_bf16!(pair_sums, Arguments, VECTORS);

impl PairSums<'_> {
    /// Writes the sums, `[row][output channel]`, or adds to them.
    pub(in super::super) fn sum(&self, isa: Isa, sums: &mut [f32], resume: bool) {
        assert!(
            self.images * self.lines * self.pairs > 0 && (1..=MOST_CHUNKS).contains(&self.outputs)
        );
        let furthest = self.offsets.iter().max().unwrap_or(&0)
            + (self.images - 1) * self.x_image
            + (self.lines - 1) * self.x_line;
        assert!(
            furthest + (self.pairs - 1) * PAIR + 2 <= self.x.len(),
            "a row extends beyond its source"
        );
        let dy = (self.images - 1) * self.dy_image
            + (self.outputs - 1) * self.dy_chunk
            + self.lines * self.pairs * PAIR;
        assert!(dy <= self.dy.len() && ROWS * self.outputs * CHUNK <= sums.len());
        let arguments = Arguments { pair_sums: self, sums: sums.as_mut_ptr(), resume };
        let kernel: unsafe fn(&Arguments) = match (isa.wide(), self.outputs) {
            (true, 1) => bf16_instance!(isa, pair_sums, 1),
            (true, _) | (false, 1) => bf16_instance!(isa, pair_sums, 2),
            (false, _) => bf16_instance!(isa, pair_sums, 4),
        };
        // SAFETY: the assertions above cover all reads and writes; the instruction set was
        // detected.
        unsafe { kernel(&arguments) }
    }
}
