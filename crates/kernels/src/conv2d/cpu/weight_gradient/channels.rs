//! Sums over the pixels of images with output channels as lanes: the weight gradient, unless there
//! are few channels.

use crate::simd::{Isa, Vector, compiled_for_each, instance};

/// Largest number of taps that a kernel sums at a time.
const TAPS: usize = 9;

/// The sums to compute for some taps and a block of output channels.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub images: usize,
    pub rows: usize,
    pub columns: usize,
    /// Padded input; neighboring outputs read neighboring floats.
    pub x: &'a [f32],
    pub x_image: usize,
    pub x_row: usize,
    /// Gradient of the output, `[pixel][block]` in every image.
    pub dy: &'a [f32],
    pub dy_image: usize,
}

struct Sums<'a> {
    pixels: &'a Pixels<'a>,
    /// One offset per tap.
    offsets: *const usize,
    /// `[tap][block]`
    sums: *mut f32,
    resume: bool,
}

/// Computes or continues the sums of `TAPS` taps and `BLOCK` vectors of output channels.
///
/// # Safety
///
/// The pointers and slices are valid for the range the sizes describe.
#[inline(always)]
unsafe fn summed_taps<V: Vector, const BLOCK: usize, const TAPS: usize>(s: &Sums) {
    let p = s.pixels;
    // SAFETY: the caller guarantees the pointers, for every image, row, column and tap.
    unsafe {
        let at = |tap: usize, b: usize| s.sums.add((tap * BLOCK + b) * V::LANES);
        let mut sums = [[V::splat(0.0); BLOCK]; TAPS];
        let mut offsets = [0; TAPS];
        for tap in 0..TAPS {
            offsets[tap] = *s.offsets.add(tap);
            if s.resume {
                for b in 0..BLOCK {
                    sums[tap][b] = V::load(at(tap, b));
                }
            }
        }
        for image in 0..p.images {
            let mut dy = p.dy.as_ptr().add(image * p.dy_image);
            for row in 0..p.rows {
                let x = p.x.as_ptr().add(image * p.x_image + row * p.x_row);
                for column in 0..p.columns {
                    let mut factors = [V::splat(0.0); BLOCK];
                    for b in 0..BLOCK {
                        factors[b] = V::load(dy.add(b * V::LANES));
                    }
                    for tap in 0..TAPS {
                        let value = V::splat(*x.add(column + offsets[tap]));
                        for b in 0..BLOCK {
                            sums[tap][b] = factors[b].mul_add(value, sums[tap][b]);
                        }
                    }
                    dy = dy.add(BLOCK * V::LANES);
                }
            }
        }
        for tap in 0..TAPS {
            for b in 0..BLOCK {
                sums[tap][b].store(at(tap, b));
            }
        }
    }
}

compiled_for_each!(summed_taps, Sums, BLOCK, TAPS);

fn kernel(isa: Isa, vectors: usize, taps: usize) -> unsafe fn(&Sums) {
    macro_rules! of_block {
        ($block:expr) => {
            match taps {
                1 => instance!(isa, summed_taps, $block, 1),
                2 => instance!(isa, summed_taps, $block, 2),
                3 => instance!(isa, summed_taps, $block, 3),
                4 => instance!(isa, summed_taps, $block, 4),
                5 => instance!(isa, summed_taps, $block, 5),
                6 => instance!(isa, summed_taps, $block, 6),
                7 => instance!(isa, summed_taps, $block, 7),
                8 => instance!(isa, summed_taps, $block, 8),
                _ => instance!(isa, summed_taps, $block, 9),
            }
        };
    }
    match vectors {
        1 => of_block!(1),
        _ => of_block!(2),
    }
}

/// Widths of output channel blocks with a kernel.
pub(super) fn widths(isa: Isa) -> &'static [usize] {
    if isa.wide() { &[32, 16] } else { &[16, 8] }
}

/// Taps to sum at a time, as even as possible, so that they fit into the registers.
pub(super) fn tile(isa: Isa, taps: usize) -> usize {
    let most = if isa.wide() { TAPS } else { 6 };
    taps.div_ceil(taps.div_ceil(most))
}

/// `sums[tap][channel] (+)= sum over pixels of x[pixel + offsets[tap]] * dy[pixel][channel]` for at
/// most [`tile`] taps.
pub(super) fn sum(
    isa: Isa,
    pixels: &Pixels,
    offsets: &[usize],
    width: usize,
    sums: &mut [f32],
    resume: bool,
) {
    let p = pixels;
    assert!(
        offsets.len() <= TAPS
            && sums.len() == offsets.len() * width
            && p.images * p.rows * p.columns > 0
    );
    let reach = offsets.iter().max().unwrap_or(&0)
        + (p.images - 1) * p.x_image
        + (p.rows - 1) * p.x_row
        + p.columns;
    assert!(reach <= p.x.len(), "a tap extends beyond its padded image");
    assert!((p.images - 1) * p.dy_image + p.rows * p.columns * width <= p.dy.len());
    let arguments = Sums { pixels, offsets: offsets.as_ptr(), sums: sums.as_mut_ptr(), resume };
    // SAFETY: the assertions above cover all reads and writes; the instruction set was detected.
    unsafe { kernel(isa, width / isa.lanes(), offsets.len())(&arguments) }
}
