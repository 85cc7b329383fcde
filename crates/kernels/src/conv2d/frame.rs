//! Images with their padding, laid out so that neighbouring outputs read neighbouring floats whatever the stride.

/// How the planes of an image lie in a buffer: rows of zeros above and below, columns of zeros left and right, and each
/// row split by column number modulo the stride, so that `stride` runs of `run` floats make a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Size of the image itself.
    pub height: usize,
    pub width: usize,
    /// Zeros above and to the left.
    pub top: usize,
    pub left: usize,
    /// Rows in the frame, which may leave out the last ones of the image.
    pub rows: usize,
    /// Columns of the frame that one run has.
    pub run: usize,
    pub stride: usize,
}

/// Floats after the last plane that a kernel may read (it does not use them), beyond the rows of a tile.
const SLACK: usize = 32;

impl Frame {
    pub fn row(&self) -> usize {
        self.run * self.stride
    }

    pub fn plane(&self) -> usize {
        self.rows * self.row()
    }

    /// Where the frame has row `y`, column `x`, counted with the padding.
    pub fn offset(&self, y: usize, x: usize) -> usize {
        y * self.row() + x % self.stride * self.run + x / self.stride
    }

    /// Floats of a buffer for `planes` planes: kernels take up to 2 rows of outputs at a time, and whole vectors.
    pub fn buffer(&self, planes: usize) -> usize {
        planes * self.plane() + self.stride * self.row() + SLACK
    }

    /// Lays out consecutive planes of an image in a buffer of at least [`Frame::buffer`] floats.
    pub fn fill(&self, image: &[f32], buffer: &mut [f32]) {
        let planes = image.len() / (self.height * self.width);
        let (framed, slack) = buffer.split_at_mut(planes * self.plane());
        slack.fill(0.0);
        for (plane, framed) in image.chunks_exact(self.height * self.width).zip(framed.chunks_exact_mut(self.plane())) {
            let rows = self.height.min(self.rows.saturating_sub(self.top));
            let (above, rest) = framed.split_at_mut(self.top.min(self.rows) * self.row());
            let (inner, below) = rest.split_at_mut(rows * self.row());
            above.fill(0.0);
            below.fill(0.0);
            for (row, framed) in plane.chunks_exact(self.width).zip(inner.chunks_exact_mut(self.row())) {
                self.fill_row(row, framed);
            }
        }
    }

    fn fill_row(&self, row: &[f32], framed: &mut [f32]) {
        for (phase, run) in framed.chunks_exact_mut(self.run).enumerate() {
            // Column `left + i` of the frame is column `i` of the image; this run has those equal to `phase` modulo the stride.
            let left = self.left.saturating_sub(phase).div_ceil(self.stride).min(run.len());
            let first = left * self.stride + phase - self.left.min(left * self.stride + phase);
            let columns = self.width.saturating_sub(first).div_ceil(self.stride).min(run.len() - left);
            let (before, rest) = run.split_at_mut(left);
            let (inner, after) = rest.split_at_mut(columns);
            before.fill(0.0);
            after.fill(0.0);
            if self.stride == 1 {
                inner.copy_from_slice(&row[first..first + columns]);
            } else if columns > 0 {
                inner.iter_mut().zip(row[first..].iter().step_by(self.stride)).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
