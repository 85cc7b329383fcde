//! Padded images, in a layout where neighboring outputs read neighboring floats whatever the
//! stride.

use std::cell::Cell;

use crate::simd::{Isa, Vector, compiled_for_each, instance};

/// Layout of the planes of an image in a buffer: rows of zeros above and below, columns of zeros
/// left and right, and each row split by column number modulo the stride, so that a row consists of
/// `stride` runs of `run` floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PaddedImage {
    /// Size of the image itself.
    pub height: usize,
    pub width: usize,
    /// Zeros above and to the left.
    pub top: usize,
    pub left: usize,
    /// Rows in the padded image, which may omit the last rows of the image.
    pub rows: usize,
    /// Columns per run of the padded image.
    pub run: usize,
    pub stride: usize,
    /// Only every `every`-th row and column of the image is kept, from the first on: what a strided
    /// kernel of one tap reads.
    pub every: usize,
}

/// Floats after the last plane that a kernel may read (without using them), beyond the rows of a
/// tile.
const SLACK: usize = 32;

impl PaddedImage {
    pub(super) fn row(&self) -> usize {
        self.run * self.stride
    }

    pub(super) fn plane(&self) -> usize {
        self.rows * self.row()
    }

    /// Index of row `y`, column `x` in the padded image, counting the padding.
    pub(super) fn offset(&self, y: usize, x: usize) -> usize {
        y * self.row() + x % self.stride * self.run + x / self.stride
    }

    /// Floats of a buffer for `planes` planes: kernels process up to 2 rows of outputs at a time,
    /// and complete vectors.
    pub(super) fn buffer(&self, planes: usize) -> usize {
        planes * self.plane() + self.stride * self.row() + SLACK
    }

    /// The runs of a row. Divisions take longer than copying a short row, so they are found once for
    /// all rows.
    pub(super) fn runs(&self) -> Vec<Run> {
        (0..self.stride).map(|phase| self.run_of(phase)).collect()
    }

    /// The columns of the padded image that equal `phase` modulo the stride.
    fn run_of(&self, phase: usize) -> Run {
        let left = self.left.saturating_sub(phase).div_ceil(self.stride).min(self.run);
        let first = (left * self.stride + phase).saturating_sub(self.left);
        let columns = self
            .width
            .div_ceil(self.every)
            .saturating_sub(first)
            .div_ceil(self.stride)
            .min(self.run - left);
        Run { left, first: first * self.every, columns }
    }

    /// Writes consecutive planes of an image to a buffer of at least [`PaddedImage::buffer`]
    /// floats.
    pub(super) fn fill(&self, isa: Isa, image: &[f32], buffer: &mut [f32]) {
        let planes = image.len() / (self.height * self.width);
        let (buffer, slack) = buffer.split_at_mut(planes * self.plane());
        slack.fill(0.0);
        let kernel: unsafe fn(&Fill) = instance!(isa, filled);
        let runs = self.runs();
        for (plane, buffer) in
            image.chunks_exact(self.height * self.width).zip(buffer.chunks_exact_mut(self.plane()))
        {
            let arguments = Fill {
                padded: self,
                runs: &runs,
                plane,
                buffer: Cell::from_mut(buffer).as_slice_of_cells(),
            };
            // SAFETY: the kernel requires only its instruction set, which was detected.
            unsafe { kernel(&arguments) };
        }
    }
}

/// A run within each row of the padded image: column `left + i` is column `first + i * stride *
/// every` of the image, for `columns` of them, and all others are zero.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub left: usize,
    pub first: usize,
    pub columns: usize,
}

/// One plane and its destination.
struct Fill<'a> {
    padded: &'a PaddedImage,
    runs: &'a [Run],
    plane: &'a [f32],
    buffer: &'a [Cell<f32>],
}

/// # Safety
///
/// The processor must have the instruction set.
#[inline(always)]
unsafe fn filled<V: Vector>(arguments: &Fill) {
    let Fill { padded: f, runs, plane, buffer } = *arguments;
    let zero = |cells: &[Cell<f32>]| cells.iter().for_each(|cell| cell.set(0.0));
    let (above, rest) = buffer.split_at(f.top.min(f.rows) * f.row());
    let rows = f.height.div_ceil(f.every).min(f.rows.saturating_sub(f.top));
    let (inner, below) = rest.split_at(rows * f.row());
    zero(above);
    zero(below);
    let step = f.stride * f.every;
    for (row, buffer) in
        plane.chunks_exact(f.width).step_by(f.every).zip(inner.chunks_exact(f.row()))
    {
        for (run, buffer) in runs.iter().zip(buffer.chunks_exact(f.run)) {
            let (before, rest) = buffer.split_at(run.left);
            let (inner, after) = rest.split_at(run.columns);
            zero(before);
            zero(after);
            if run.columns > 0 {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { copied::<V>(&row[run.first..], step, inner) };
            }
        }
    }
}

/// `to[i] = from[i * step]`
///
/// # Safety
///
/// The processor must have the instruction set.
#[inline(always)]
unsafe fn copied<V: Vector>(from: &[f32], step: usize, to: &[Cell<f32>]) {
    assert!((to.len() - 1) * step < from.len());
    let whole = if step <= 2 { to.len() / V::LANES * V::LANES } else { 0 };
    for i in (0..whole).step_by(V::LANES) {
        // SAFETY: vectors of `to` end before `whole`, and reads of `from` end with the float for
        // the last of them; cells are written through a pointer as `Cell::set` would.
        unsafe {
            let from = from.as_ptr().add(i * step);
            let vector = if step == 1 { V::load(from) } else { V::load_every_second(from) };
            vector.store(to.as_ptr().add(i).cast_mut().cast());
        }
    }
    for i in whole..to.len() {
        to[i].set(from[i * step]);
    }
}

compiled_for_each!(filled, Fill);
