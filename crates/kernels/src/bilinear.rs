//! Positions between the pixels of an image.

/// The size of an image, and the meaning of positions in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub height: usize,
    pub width: usize,
    /// Whether -1 and 1 are the centers of the border pixels, or (false) their outer edges.
    pub align_corners: bool,
}

/// A position along one axis: the lower pixel, the upper one, the weight of the upper one, and
/// whether the border clamped it.
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
        // The comparison is false for NaN, which then has no gradient either.
        let clamped = !(pixel > 0.0 && pixel < last);
        let low = (inside as usize).min(size - 1);
        Self { low, high: (low + 1).min(size - 1), share: inside - low as f32, clamped }
    }
}

/// The four pixels around a position, row by row, and their weights.
#[derive(Clone, Copy)]
pub(crate) struct Corners {
    pub x: Axis,
    pub y: Axis,
    /// Lower row: lower and upper column; upper row: the same.
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
        let pixels = [
            pixel(y.low, x.low),
            pixel(y.low, x.high),
            pixel(y.high, x.low),
            pixel(y.high, x.high),
        ];
        let shares = [
            (1.0 - y.share) * (1.0 - x.share),
            (1.0 - y.share) * x.share,
            y.share * (1.0 - x.share),
            y.share * x.share,
        ];
        Corners { x, y, pixels, shares }
    }

    /// Pixels per unit of position, along x and y.
    #[inline(always)]
    pub(crate) fn pixels_per_unit(&self) -> [f32; 2] {
        let apart = if self.align_corners { 1 } else { 0 };
        [self.width, self.height].map(|size| (size - apart) as f32 / 2.0)
    }
}

/// The derivative of a bilinear interpolation along x and along y, per pixel.
#[inline(always)]
pub(crate) fn slopes([a, b, c, d]: [f32; 4], corners: &Corners) -> [f32; 2] {
    let (right, low) = (corners.x.share, corners.y.share);
    [(1.0 - low) * (b - a) + low * (d - c), (1.0 - right) * (c - a) + right * (d - b)]
}
