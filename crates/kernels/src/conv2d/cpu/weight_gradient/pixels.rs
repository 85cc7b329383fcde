//! Sums over the pixels of one plane with neighboring pixels as lanes: the weight gradient with few
//! channels, as in a depthwise convolution.

use crate::simd::{Isa, Vector, compiled_for_each, instance};

/// Taps that a kernel sums at a time.
const TAPS: usize = 8;

/// The sums to compute for some taps.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub rows: usize,
    pub columns: usize,
    /// Padded input; neighboring outputs read neighboring floats.
    pub x: &'a [f32],
    pub x_row: usize,
    /// Gradient of the output, `[row][column]`.
    pub dy: &'a [f32],
}

struct Sums<'a> {
    plane: &'a Plane<'a>,
    offsets: [usize; TAPS],
    /// One sum per tap, added to.
    sums: *mut f32,
}

/// Adds the sums of `COUNT` taps.
///
/// # Safety
///
/// The pointers and slices are valid for the range the sizes describe, `x` for complete vectors.
#[inline(always)]
unsafe fn summed_plane<V: Vector, const COUNT: usize>(s: &Sums) {
    let p = s.plane;
    // SAFETY: the caller guarantees the pointers, for every row, column and tap.
    unsafe {
        let mut sums = [V::splat(0.0); COUNT];
        for row in 0..p.rows {
            let (x, dy) = (p.x.as_ptr().add(row * p.x_row), p.dy.as_ptr().add(row * p.columns));
            let mut column = 0;
            while column < p.columns {
                let left = p.columns - column;
                let factor = if left < V::LANES {
                    V::load_first(dy.add(column), left)
                } else {
                    V::load(dy.add(column))
                };
                for tap in 0..COUNT {
                    sums[tap] = V::load(x.add(column + s.offsets[tap])).mul_add(factor, sums[tap]);
                }
                column += V::LANES;
            }
        }
        for tap in 0..COUNT {
            *s.sums.add(tap) += sums[tap].sum();
        }
    }
}

compiled_for_each!(summed_plane, Sums, COUNT);

/// `sums[tap] += sum over pixels of x[pixel + offsets[tap]] * dy[pixel]`
pub(super) fn sum(isa: Isa, plane: &Plane, offsets: &[usize], sums: &mut [f32]) {
    let p = plane;
    let in_row = p.columns.next_multiple_of(isa.lanes());
    assert!(offsets.len() == sums.len() && p.rows > 0 && p.rows * p.columns <= p.dy.len());
    let reach = offsets.iter().max().unwrap_or(&0) + (p.rows - 1) * p.x_row + in_row;
    assert!(reach <= p.x.len(), "a tap extends beyond its padded image");
    for (offsets, sums) in offsets.chunks(TAPS).zip(sums.chunks_mut(TAPS)) {
        let mut arguments = Sums { plane, offsets: [0; TAPS], sums: sums.as_mut_ptr() };
        arguments.offsets[..offsets.len()].copy_from_slice(offsets);
        let kernel: unsafe fn(&Sums) = match offsets.len() {
            1 => instance!(isa, summed_plane, 1),
            2 => instance!(isa, summed_plane, 2),
            3 => instance!(isa, summed_plane, 3),
            4 => instance!(isa, summed_plane, 4),
            5 => instance!(isa, summed_plane, 5),
            6 => instance!(isa, summed_plane, 6),
            7 => instance!(isa, summed_plane, 7),
            _ => instance!(isa, summed_plane, 8),
        };
        // SAFETY: the assertions above cover all reads and writes; the instruction set was
        // detected.
        unsafe { kernel(&arguments) }
    }
}
