//! The transforms along both axes, for sixteen channels at a time.

use super::{CHUNK, PATCH, POINTS, TAPS, TILE, points};
use crate::simd::{Isa, Vector, compiled_for_each, instance};

/// Sixteen channels of several patches, kernels or tiles, before and after the transform.
struct Transform {
    /// Value `(i, j)` of number `n` is at `from + n * from_step + i * from_row + j * from_column`.
    from: *const f32,
    from_step: usize,
    from_row: usize,
    from_column: usize,
    count: usize,
    /// The same for the results.
    to: *mut f32,
    to_step: usize,
    to_row: usize,
    to_column: usize,
}

/// A transform along one axis.
pub(super) trait Along<const IN: usize, const OUT: usize> {
    /// # Safety
    ///
    /// The processor has the instructions of the vector.
    unsafe fn along<V: Vector>(values: [V; IN]) -> [V; OUT];
}

/// Makes a type of a transform in [`points`]. Unlike a closure, it is compiled for the level of the
/// kernel it is inlined into.
macro_rules! along {
    ($name:ident, $function:ident, $in:expr, $out:expr) => {
        pub(super) struct $name;

        impl Along<$in, $out> for $name {
            #[inline(always)]
            unsafe fn along<V: Vector>(values: [V; $in]) -> [V; $out] {
                // SAFETY: the caller guarantees the instructions.
                unsafe { points::$function(values) }
            }
        }
    };
}

along!(Patch, patch, PATCH, PATCH);
along!(Kernel, kernel, 3, PATCH);
along!(Tile, tile, PATCH, TILE);
along!(TileGradient, tile_gradient, TILE, PATCH);
along!(KernelGradient, kernel_gradient, PATCH, 3);

/// Applies a transform to the columns and then to the rows of `IN x IN` values.
///
/// # Safety
///
/// The pointers are valid for all values at their steps; the processor has the instructions of the
/// vector.
#[inline(always)]
unsafe fn both_axes<V: Vector, A: Along<IN, OUT>, const IN: usize, const OUT: usize>(
    t: &Transform,
) {
    // SAFETY: `number`, `i` and `j` stay below what the sizes describe, `lane` below the sixteen
    // channels.
    unsafe {
        for number in 0..t.count {
            for lane in (0..CHUNK).step_by(V::LANES) {
                let from = t.from.add(number * t.from_step + lane);
                let to = t.to.add(number * t.to_step + lane);
                let mut columns = [[V::splat(0.0); OUT]; IN];
                for j in 0..IN {
                    let mut column = [V::splat(0.0); IN];
                    for i in 0..IN {
                        column[i] = V::load(from.add(i * t.from_row + j * t.from_column));
                    }
                    columns[j] = A::along(column);
                }
                for i in 0..OUT {
                    let mut row = [V::splat(0.0); IN];
                    for j in 0..IN {
                        row[j] = columns[j][i];
                    }
                    let row = A::along(row);
                    for j in 0..OUT {
                        row[j].store(to.add(i * t.to_row + j * t.to_column));
                    }
                }
            }
        }
    }
}

/// # Safety
///
/// See [`both_axes`]; this holds for all kernels here.
#[inline(always)]
unsafe fn patches<V: Vector>(t: &Transform) {
    // SAFETY: the caller guarantees the pointers and the instructions.
    unsafe { both_axes::<V, Patch, PATCH, PATCH>(t) }
}

/// # Safety
///
/// See [`both_axes`].
#[inline(always)]
unsafe fn kernels<V: Vector>(t: &Transform) {
    // SAFETY: the caller guarantees the pointers and the instructions.
    unsafe { both_axes::<V, Kernel, 3, PATCH>(t) }
}

/// # Safety
///
/// See [`both_axes`].
#[inline(always)]
unsafe fn tiles<V: Vector>(t: &Transform) {
    // SAFETY: the caller guarantees the pointers and the instructions.
    unsafe { both_axes::<V, Tile, PATCH, TILE>(t) }
}

/// # Safety
///
/// See [`both_axes`].
#[inline(always)]
unsafe fn tile_gradients<V: Vector>(t: &Transform) {
    // SAFETY: the caller guarantees the pointers and the instructions.
    unsafe { both_axes::<V, TileGradient, TILE, PATCH>(t) }
}

/// # Safety
///
/// See [`both_axes`].
#[inline(always)]
unsafe fn kernel_gradients<V: Vector>(t: &Transform) {
    // SAFETY: the caller guarantees the pointers and the instructions.
    unsafe { both_axes::<V, KernelGradient, PATCH, 3>(t) }
}

compiled_for_each!(patches, Transform);
compiled_for_each!(kernels, Transform);
compiled_for_each!(tiles, Transform);
compiled_for_each!(tile_gradients, Transform);
compiled_for_each!(kernel_gradients, Transform);

/// A transform, by the number of values along an axis before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Patches,
    Tiles,
    TileGradients,
}

/// Evaluates or interpolates a row of `count` tiles of sixteen channels. One side is pixels,
/// `[row][column][channel]` with `columns` per row, where neighboring tiles are [`TILE`] apart. The
/// other is `[point][tile][channel]` with `point` floats from one point to the next and `step` from
/// one tile to the next.
pub(super) fn row(
    isa: Isa,
    kind: Kind,
    count: usize,
    columns: usize,
    from: &[f32],
    to: &mut [f32],
    point: usize,
    step: usize,
) {
    let (pixels, evaluations) = match kind {
        Kind::Tiles => (to.len(), from.len()),
        _ => (from.len(), to.len()),
    };
    let side = if kind == Kind::Patches { PATCH } else { TILE };
    assert!(count > 0 && ((side - 1) * columns + (count - 1) * TILE + side) * CHUNK <= pixels);
    assert!((POINTS - 1) * point + (count - 1) * step + CHUNK <= evaluations);
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    let (row, column) = (columns * CHUNK, CHUNK);
    let (points_row, points_column) = (PATCH * point, point);
    let t = match kind {
        Kind::Tiles => Transform {
            from,
            from_step: step,
            from_row: points_row,
            from_column: points_column,
            count,
            to,
            to_step: TILE * CHUNK,
            to_row: row,
            to_column: column,
        },
        _ => Transform {
            from,
            from_step: TILE * CHUNK,
            from_row: row,
            from_column: column,
            count,
            to,
            to_step: step,
            to_row: points_row,
            to_column: points_column,
        },
    };
    let kernel: unsafe fn(&Transform) = match kind {
        Kind::Patches => instance!(isa, patches),
        Kind::Tiles => instance!(isa, tiles),
        Kind::TileGradients => instance!(isa, tile_gradients),
    };
    // SAFETY: the assertions keep every value within the slices; the instruction set was detected.
    unsafe { kernel(&t) }
}

/// Evaluates `count` kernels of sixteen channels, `[kernel][tap][channel]`, to
/// `[point][kernel][channel]` with `point` floats from one point to the next and `step` from one
/// kernel to the next.
pub(super) fn evaluate_kernels(
    isa: Isa,
    count: usize,
    from: &[f32],
    to: &mut [f32],
    point: usize,
    step: usize,
) {
    assert!(count > 0 && count * TAPS * CHUNK <= from.len());
    assert!((POINTS - 1) * point + (count - 1) * step + CHUNK <= to.len());
    let t = Transform {
        from: from.as_ptr(),
        from_step: TAPS * CHUNK,
        from_row: 3 * CHUNK,
        from_column: CHUNK,
        count,
        to: to.as_mut_ptr(),
        to_step: step,
        to_row: PATCH * point,
        to_column: point,
    };
    let kernel: unsafe fn(&Transform) = instance!(isa, kernels);
    // SAFETY: the assertions keep every value within the slices; the instruction set was detected.
    unsafe { kernel(&t) }
}

/// The reverse: gradients of `count` kernels, `[kernel][tap][channel]`, from products.
pub(super) fn interpolate_kernels(
    isa: Isa,
    count: usize,
    from: &[f32],
    point: usize,
    step: usize,
    to: &mut [f32],
) {
    assert!(count > 0 && count * TAPS * CHUNK <= to.len());
    assert!((POINTS - 1) * point + (count - 1) * step + CHUNK <= from.len());
    let t = Transform {
        from: from.as_ptr(),
        from_step: step,
        from_row: PATCH * point,
        from_column: point,
        count,
        to: to.as_mut_ptr(),
        to_step: TAPS * CHUNK,
        to_row: 3 * CHUNK,
        to_column: CHUNK,
    };
    let kernel: unsafe fn(&Transform) = instance!(isa, kernel_gradients);
    // SAFETY: the assertions keep every value within the slices; the instruction set was detected.
    unsafe { kernel(&t) }
}
