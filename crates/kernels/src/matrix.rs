//! Matrix products on slices, by the `gemm` crate on one thread: the callers spread whole products over threads.

/// A matrix in a slice: element (row, column) lies at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub data: &'a [f32],
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> View<'a> {
    /// Row-major, `columns` wide.
    pub fn rows(data: &'a [f32], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// The transpose of a row-major matrix of `columns` columns.
    pub fn transposed(data: &'a [f32], columns: usize) -> Self {
        Self { data, row_stride: 1, column_stride: columns }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// `target = left * right`, or `target += left * right` with `accumulate`. `target` is row-major with `target_stride`
/// floats from one row to the next; `left` has `m` rows and `k` columns, `right` `k` rows and `n` columns.
pub(crate) fn product(
    m: usize,
    n: usize,
    k: usize,
    target: &mut [f32],
    target_stride: usize,
    accumulate: bool,
    left: View,
    right: View,
) {
    assert!(left.covers(m, k) && right.covers(k, n), "a factor reaches beyond its slice");
    assert!(m == 0 || n == 0 || (m - 1) * target_stride + n <= target.len(), "the product reaches beyond its slice");
    let alpha = if accumulate { 1.0 } else { 0.0 };
    // SAFETY: the assertions above keep every element that the strides can reach within the three slices, `target` is
    // borrowed mutably and so overlaps neither factor, and `gemm` reads `target` only with `read_dst`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target.as_mut_ptr(),
            1,
            target_stride as isize,
            accumulate,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            alpha,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
