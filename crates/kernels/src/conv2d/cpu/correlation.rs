//! The common form of the forward pass and the input gradient: at every position of a grid, a sum
//! over channels and taps.

use super::super::problem::Problem;
use super::padded_image::PaddedImage;

/// One tap of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    /// Its offset from the position of the output, in floats of the padded image.
    pub offset: usize,
    /// Its index in the weight, `ky * kernel width + kx`.
    pub index: usize,
}

/// Outputs that share the same taps: all of the forward pass; for the input gradient, every
/// `stride`-th row and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    pub rows: usize,
    pub columns: usize,
    /// The row and column of the first of them in the result.
    pub first_row: usize,
    pub first_column: usize,
    pub taps: Vec<Tap>,
}

/// A pass over one group of channels, the same for every group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Correlation {
    /// Channels per group that are summed and computed.
    pub in_channels: usize,
    pub out_channels: usize,
    pub padded: PaddedImage,
    /// Floats of the padded image from one row of outputs to the next; neighboring outputs are
    /// neighbors in the padded image.
    pub row_step: usize,
    /// Size of a plane of the result, and the step between the outputs of a phase in it.
    pub height: usize,
    pub width: usize,
    pub step: usize,
    pub phases: Vec<Phase>,
}

/// Padding of the input, in which output `(y, x)` reads tap `(0, 0)` at `y * stride` padded rows
/// and `x` floats.
pub(super) fn padded_input(p: &Problem) -> PaddedImage {
    if p.taps() == 1 && p.padding == 0 {
        // Rows and columns that the stride skips are not read by any tap.
        let (rows, run) = (p.out_height, p.out_width);
        return PaddedImage {
            height: p.height,
            width: p.width,
            top: 0,
            left: 0,
            rows,
            run,
            stride: 1,
            every: p.stride,
        };
    }
    let reach = |out: usize, kernel: usize| (out - 1) * p.stride + (kernel - 1) * p.dilation + 1;
    PaddedImage {
        height: p.height,
        width: p.width,
        top: p.padding,
        left: p.padding,
        rows: reach(p.out_height, p.kernel_height),
        run: reach(p.out_width, p.kernel_width).div_ceil(p.stride),
        stride: p.stride,
        every: 1,
    }
}

/// The taps of the forward pass in the padded input, in the order of the weight.
pub(super) fn input_taps(p: &Problem, padded: &PaddedImage) -> Vec<Tap> {
    (0..p.taps())
        .map(|index| {
            let (ky, kx) = (index / p.kernel_width, index % p.kernel_width);
            Tap { offset: padded.offset(ky * p.dilation, kx * p.dilation), index }
        })
        .collect()
}

impl Correlation {
    pub(super) fn forward(p: &Problem) -> Self {
        let padded = padded_input(p);
        let taps = input_taps(p, &padded);
        Self {
            in_channels: p.group_in(),
            out_channels: p.group_out(),
            padded,
            row_step: padded.stride * padded.row(),
            height: p.out_height,
            width: p.out_width,
            step: 1,
            phases: vec![Phase {
                rows: p.out_height,
                columns: p.out_width,
                first_row: 0,
                first_column: 0,
                taps,
            }],
        }
    }

    /// Input row `first + stride * j` receives from tap `k` the output row `j + shift`, where
    /// `stride * shift = first + padding - k * dilation`; columns are analogous.
    pub(super) fn input_gradient(p: &Problem) -> Self {
        let shifts = |first: usize, kernel: usize| -> Vec<(usize, isize)> {
            let distance = |k: usize| (first + p.padding) as isize - (k * p.dilation) as isize;
            let stride = p.stride as isize;
            (0..kernel)
                .filter(|&k| distance(k) % stride == 0)
                .map(|k| (k, distance(k) / stride))
                .collect()
        };
        let axis = |size: usize,
                    kernel: usize|
         -> (Vec<(usize, usize, Vec<(usize, isize)>)>, usize, usize) {
            let phases: Vec<_> = (0..p.stride.min(size))
                .map(|f| (f, (size - f).div_ceil(p.stride), shifts(f, kernel)))
                .collect();
            let all = || {
                phases.iter().flat_map(|(_, count, s)| {
                    s.iter().map(move |&(_, shift)| (*count as isize, shift))
                })
            };
            let before = all().map(|(_, shift)| -shift).max().unwrap_or(0).max(0);
            let extent =
                all().map(|(count, shift)| count + shift + before).max().unwrap_or(0).max(1);
            (phases, before as usize, extent as usize)
        };
        let (row_phases, top, rows) = axis(p.height, p.kernel_height);
        let (column_phases, left, run) = axis(p.width, p.kernel_width);
        let padded = PaddedImage {
            height: p.out_height,
            width: p.out_width,
            top,
            left,
            rows,
            run,
            stride: 1,
            every: 1,
        };
        let mut phases = Vec::new();
        for (first_row, rows, row_shifts) in &row_phases {
            for (first_column, columns, column_shifts) in &column_phases {
                let mut taps = Vec::new();
                for (ky, dy) in row_shifts {
                    for (kx, dx) in column_shifts {
                        let offset = padded
                            .offset((dy + top as isize) as usize, (dx + left as isize) as usize);
                        taps.push(Tap { offset, index: ky * p.kernel_width + kx });
                    }
                }
                // Ascending addresses, as in the forward pass.
                taps.sort_by_key(|tap| tap.offset);
                phases.push(Phase {
                    rows: *rows,
                    columns: *columns,
                    first_row: *first_row,
                    first_column: *first_column,
                    taps,
                });
            }
        }
        Self {
            in_channels: p.group_out(),
            out_channels: p.group_in(),
            padded,
            row_step: padded.row(),
            height: p.height,
            width: p.width,
            step: p.stride,
            phases,
        }
    }

    /// Floats per plane of the result.
    pub(super) fn plane(&self) -> usize {
        self.height * self.width
    }
}
