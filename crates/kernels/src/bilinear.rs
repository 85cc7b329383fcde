//! Where a position falls between the pixels of an image.

/// The pixels of one image, and what positions mean there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub height: usize,
    pub width: usize,
    /// Whether -1 and 1 are the centres of the border pixels, or (false) their outer edges.
    pub align_corners: bool,
}

/// Where a position falls along one axis: the lower pixel, the upper one, the share of the upper, and whether the
/// border clamped it.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub low: usize,
    pub high: usize,
    pub share: f32,
    pub clamped: bool,
}

impl Axis {
    #[inline(always)]
    fn of(position: f32, size: usize, align_corners: bool) -> Self {
        let last = (size - 1) as f32;
        let pixel = match align_corners {
            true => (position + 1.0) / 2.0 * last,
            false => ((position + 1.0) * size as f32 - 1.0) / 2.0,
        };
        let inside = pixel.clamp(0.0, last);
        // The comparison is false for a position that is not a number, which then has no gradient either.
        let clamped = !(pixel > 0.0 && pixel < last);
        let low = (inside as usize).min(size - 1);
        Self { low, high: (low + 1).min(size - 1), share: inside - low as f32, clamped }
    }
}

/// The four pixels around a position, row by row, and their shares.
#[derive(Clone, Copy)]
pub(crate) struct Corners {
    pub x: Axis,
    pub y: Axis,
    /// Low row: low and high column; high row: the same.
    pub pixels: [usize; 4],
    pub shares: [f32; 4],
}

impl Grid {
    pub(crate) fn area(&self) -> usize {
        self.height * self.width
    }

    /// The corners of a position (x, y).
    #[inline(always)]
    pub(crate) fn corners(&self, position: &[f32]) -> Corners {
        let x = Axis::of(position[0], self.width, self.align_corners);
        let y = Axis::of(position[1], self.height, self.align_corners);
        let pixel = |row: usize, column: usize| row * self.width + column;
        let pixels = [pixel(y.low, x.low), pixel(y.low, x.high), pixel(y.high, x.low), pixel(y.high, x.high)];
        let shares = [(1.0 - y.share) * (1.0 - x.share), (1.0 - y.share) * x.share, y.share * (1.0 - x.share), y.share * x.share];
        Corners { x, y, pixels, shares }
    }

    /// Pixels that one unit of position is worth, along x and y.
    #[inline(always)]
    pub(crate) fn pixels_per_unit(&self) -> [f32; 2] {
        let apart = if self.align_corners { 1 } else { 0 };
        [self.width, self.height].map(|size| (size - apart) as f32 / 2.0)
    }
}

/// How a value interpolated from the four corners changes by one pixel along x and along y.
#[inline(always)]
pub(crate) fn slopes([a, b, c, d]: [f32; 4], corners: &Corners) -> [f32; 2] {
    let (right, low) = (corners.x.share, corners.y.share);
    [(1.0 - low) * (b - a) + low * (d - c), (1.0 - right) * (c - a) + right * (d - b)]
}
