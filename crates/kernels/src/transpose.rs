//! Transposes matrices.

use crate::simd::{Isa, Vector, compiled_for_each, instance};
use crate::uninit::Place;

/// A matrix to transpose.
struct Transposition {
    rows: usize,
    columns: usize,
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
}

/// # Safety
///
/// The pointers are valid for all elements of the matrix at their strides.
#[inline(always)]
unsafe fn transposed<V: Vector>(t: &Transposition) {
    let (whole_rows, whole_columns) = (t.rows / 8 * 8, t.columns / 8 * 8);
    let tall_rows = t.rows / 16 * 16;
    // SAFETY: `row` and `column` stay within the matrix, and blocks of eight or sixteen rows within
    // its complete blocks; at most one block of eight rows follows those of sixteen.
    unsafe {
        let block = |row: usize, column: usize| {
            let from = t.from.add(row * t.from_stride + column);
            (from, t.to.add(column * t.to_stride + row))
        };
        // The inner loop runs along the side with the smaller stride, so that few cache lines are
        // in use at a time.
        if t.to_stride > t.from_stride {
            for column in (0..whole_columns).step_by(8) {
                for row in (0..tall_rows).step_by(16) {
                    let (from, to) = block(row, column);
                    V::transpose_tall(from, t.from_stride, to, t.to_stride);
                }
                if tall_rows < whole_rows {
                    let (from, to) = block(tall_rows, column);
                    V::transpose(from, t.from_stride, to, t.to_stride);
                }
            }
        } else {
            for row in (0..tall_rows).step_by(16) {
                for column in (0..whole_columns).step_by(8) {
                    let (from, to) = block(row, column);
                    V::transpose_tall(from, t.from_stride, to, t.to_stride);
                }
            }
            if tall_rows < whole_rows {
                for column in (0..whole_columns).step_by(8) {
                    let (from, to) = block(tall_rows, column);
                    V::transpose(from, t.from_stride, to, t.to_stride);
                }
            }
        }
        let one = |row: usize, column: usize| {
            *t.to.add(column * t.to_stride + row) = *t.from.add(row * t.from_stride + column)
        };
        for row in 0..whole_rows {
            (whole_columns..t.columns).for_each(|column| one(row, column));
        }
        for row in whole_rows..t.rows {
            (0..t.columns).for_each(|column| one(row, column));
        }
    }
}

compiled_for_each!(transposed, Transposition);

/// `to[column * to_stride + row] = from[row * from_stride + column]`
pub(super) fn transpose<P: Place>(
    isa: Isa,
    [rows, columns]: [usize; 2],
    from: &[f32],
    from_stride: usize,
    to: &mut [P],
    to_stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(
        (rows - 1) * from_stride + columns <= from.len()
            && (columns - 1) * to_stride + rows <= to.len()
    );
    assert!(from_stride >= columns && to_stride >= rows);
    let arguments = Transposition {
        rows,
        columns,
        from: from.as_ptr(),
        from_stride,
        to: to.as_mut_ptr().cast(),
        to_stride,
    };
    let kernel: unsafe fn(&Transposition) = instance!(isa, transposed);
    // SAFETY: the assertions keep every element within the slices; the instruction set was
    // detected.
    unsafe { kernel(&arguments) }
}
