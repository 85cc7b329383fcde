//! The transforms along both axes, for sixteen channels at a time, from and to bfloat16.

use super::super::transforms::{Along, Patch, Tile, TileGradient};
use super::{CHUNK, PATCH, POINTS, TILE};
use crate::simd::{Bf16, Isa, Vector, bf16_instance, compiled_for_bf16};

/// Values of a patch or a tile before the transform along the second axis.
#[inline(always)]
unsafe fn both_axes<V: Vector, A: Along<IN, OUT>, const IN: usize, const OUT: usize>(
    load: impl Fn(usize, usize) -> V,
    mut store: impl FnMut(usize, usize, V),
) {
    // SAFETY: the caller guarantees the instructions.
    unsafe {
        let mut columns = [[V::splat(0.0); OUT]; IN];
        for j in 0..IN {
            columns[j] = A::along(std::array::from_fn(|i| load(i, j)));
        }
        for i in 0..OUT {
            let row = A::along(std::array::from_fn(|j| columns[j][i]));
            for j in 0..OUT {
                store(i, j, row[j]);
            }
        }
    }
}

/// Locations of the values and of their evaluations.
struct Evaluation<'a> {
    from: *const u16,
    /// The offset of each tile in numbers.
    offsets: &'a [usize],
    /// Numbers from one row of pixels to the next.
    row: usize,
    to: *mut u16,
    /// Numbers from one point to the next.
    point: usize,
}

/// Evaluates tiles one by one.
///
/// # Safety
///
/// Everything that the sizes describe is within the memory of the pointers; the processor has the
/// instructions.
#[inline(always)]
unsafe fn singles<V: Vector, B: Bf16<V>, A: Along<IN, PATCH>, const IN: usize>(e: &Evaluation) {
    for (tile, offset) in e.offsets.iter().enumerate() {
        for lane in (0..CHUNK).step_by(V::LANES) {
            // SAFETY: the caller guarantees access to every tile and point.
            unsafe {
                let (from, to) = (e.from.add(offset + lane), e.to.add(tile * CHUNK + lane));
                both_axes::<V, A, IN, PATCH>(
                    |i, j| B::load(from.add(i * e.row + j * CHUNK)),
                    |i, j, value| B::store(value, to.add((i * PATCH + j) * e.point)),
                );
            }
        }
    }
}

/// Evaluates pairs of tiles, whose channels become pairs; the number of tiles is even.
///
/// # Safety
///
/// See [`singles`].
#[inline(always)]
unsafe fn pairs<V: Vector, B: Bf16<V>, A: Along<IN, PATCH>, const IN: usize>(e: &Evaluation) {
    for (pair, offsets) in e.offsets.chunks_exact(2).enumerate() {
        for lane in (0..CHUNK).step_by(V::LANES) {
            // SAFETY: the caller guarantees access to every tile and point.
            unsafe {
                let mut first = [V::splat(0.0); POINTS];
                let from = e.from.add(offsets[0] + lane);
                both_axes::<V, A, IN, PATCH>(
                    |i, j| B::load(from.add(i * e.row + j * CHUNK)),
                    |i, j, value| first[i * PATCH + j] = value,
                );
                let (from, to) =
                    (e.from.add(offsets[1] + lane), e.to.add(2 * (pair * CHUNK + lane)));
                both_axes::<V, A, IN, PATCH>(
                    |i, j| B::load(from.add(i * e.row + j * CHUNK)),
                    |i, j, value| {
                        B::store_pairs(
                            first[i * PATCH + j],
                            value,
                            to.add((i * PATCH + j) * e.point),
                        )
                    },
                );
            }
        }
    }
}

/// # Safety
///
/// See [`singles`].
#[inline(always)]
unsafe fn patches<V: Vector, B: Bf16<V>>(e: &Evaluation) {
    // SAFETY: the caller guarantees it.
    unsafe { singles::<V, B, Patch, PATCH>(e) }
}

/// # Safety
///
/// See [`singles`].
#[inline(always)]
unsafe fn patch_pairs<V: Vector, B: Bf16<V>>(e: &Evaluation) {
    // SAFETY: the caller guarantees it.
    unsafe { pairs::<V, B, Patch, PATCH>(e) }
}

/// # Safety
///
/// See [`singles`].
#[inline(always)]
unsafe fn gradient_pairs<V: Vector, B: Bf16<V>>(e: &Evaluation) {
    // SAFETY: the caller guarantees it.
    unsafe { pairs::<V, B, TileGradient, TILE>(e) }
}

compiled_for_bf16!(patches, Evaluation);
compiled_for_bf16!(patch_pairs, Evaluation);
compiled_for_bf16!(gradient_pairs, Evaluation);

/// What to evaluate, and the layout of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Patches,
    PatchPairs,
    GradientPairs,
}

/// Evaluates sixteen channels of tiles that begin at `offsets` of pixels `[row][column][channel]`,
/// with rows `row` numbers apart, to `[point][tile][channel]`, or `[point][pair of
/// tiles][channel][2]`, with `point` numbers from one point to the next.
pub(super) fn evaluate(
    isa: Isa,
    kind: Kind,
    from: &[u16],
    offsets: &[usize],
    row: usize,
    to: &mut [u16],
    point: usize,
) {
    let side = if kind == Kind::GradientPairs { TILE } else { PATCH };
    let reach = offsets.iter().max().unwrap_or(&0) + (side - 1) * row + side * CHUNK;
    assert!(reach <= from.len() && (POINTS - 1) * point + offsets.len() * CHUNK <= to.len());
    assert!(kind == Kind::Patches || offsets.len().is_multiple_of(2));
    let e = Evaluation { from: from.as_ptr(), offsets, row, to: to.as_mut_ptr(), point };
    let kernel: unsafe fn(&Evaluation) = match kind {
        Kind::Patches => bf16_instance!(isa, patches),
        Kind::PatchPairs => bf16_instance!(isa, patch_pairs),
        Kind::GradientPairs => bf16_instance!(isa, gradient_pairs),
    };
    // SAFETY: the assertions keep every number within the slices; the instruction set was detected.
    unsafe { kernel(&e) }
}

/// Locations of the products and of the outputs of their tile.
struct Interpolation {
    from: *const f32,
    point: usize,
    to: *mut u16,
    row: usize,
}

/// # Safety
///
/// Everything that the sizes describe is within the memory of the pointers; the processor has the
/// instructions.
#[inline(always)]
unsafe fn tile<V: Vector, B: Bf16<V>>(t: &Interpolation) {
    for lane in (0..CHUNK).step_by(V::LANES) {
        // SAFETY: the caller guarantees access to every point and pixel.
        unsafe {
            both_axes::<V, Tile, PATCH, TILE>(
                |i, j| V::load(t.from.add((i * PATCH + j) * t.point + lane)),
                |i, j, value| B::store(value, t.to.add(i * t.row + j * CHUNK + lane)),
            );
        }
    }
}

compiled_for_bf16!(tile, Interpolation);

/// Interpolates sixteen channels of a tile, whose products are `point` floats apart, to pixels in
/// rows `row` numbers apart.
pub(super) fn interpolate<P: Copy>(isa: Isa, from: &[f32], point: usize, to: &mut [P], row: usize) {
    const { assert!(size_of::<P>() == size_of::<u16>()) };
    assert!(
        (POINTS - 1) * point + CHUNK <= from.len() && (TILE - 1) * row + TILE * CHUNK <= to.len()
    );
    let t = Interpolation { from: from.as_ptr(), point, to: to.as_mut_ptr().cast(), row };
    let kernel: unsafe fn(&Interpolation) = bf16_instance!(isa, tile);
    // SAFETY: the assertions keep every number within the slices; the instruction set was detected.
    unsafe { kernel(&t) }
}

/// Evaluated kernels of sixteen input channels, and where their pairs are written.
struct Pairing {
    from: *const f32,
    from_point: usize,
    to: *mut u16,
    to_point: usize,
    to_pair: usize,
}

/// # Safety
///
/// See [`tile`].
#[inline(always)]
unsafe fn paired<V: Vector, B: Bf16<V>>(p: &Pairing) {
    for point in 0..POINTS {
        for pair in 0..CHUNK / 2 {
            for lane in (0..CHUNK).step_by(V::LANES) {
                // SAFETY: the caller guarantees access to every point and pair.
                unsafe {
                    let from = p.from.add(point * p.from_point + 2 * pair * CHUNK + lane);
                    let to = p.to.add(point * p.to_point + pair * p.to_pair + 2 * lane);
                    B::store_pairs(V::load(from), V::load(from.add(CHUNK)), to);
                }
            }
        }
    }
}

compiled_for_bf16!(paired, Pairing);

/// Reorders `[point][input channel][output channel]`, sixteen of each, to pairs of input channels,
/// `[point][pair][output channel][2]`, with these distances between points and pairs.
pub(super) fn pair_kernels(
    isa: Isa,
    from: &[f32],
    from_point: usize,
    to: &mut [u16],
    to_point: usize,
    to_pair: usize,
) {
    assert!((POINTS - 1) * from_point + CHUNK * CHUNK <= from.len());
    assert!((POINTS - 1) * to_point + (CHUNK / 2 - 1) * to_pair + 2 * CHUNK <= to.len());
    let p = Pairing { from: from.as_ptr(), from_point, to: to.as_mut_ptr(), to_point, to_pair };
    let kernel: unsafe fn(&Pairing) = bf16_instance!(isa, paired);
    // SAFETY: the assertions keep every number within the slices; the instruction set was detected.
    unsafe { kernel(&p) }
}
