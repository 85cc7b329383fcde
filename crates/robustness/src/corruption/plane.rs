//! One channel of an image, and the filters used by corruptions.

/// Values of one channel, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

/// Extrapolation beyond the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// The last value repeats: a a a | a b c.
    Nearest,
    /// Mirror image: c b a | a b c.
    Mirror,
    /// Mirror image about the last value: d c b | a b c.
    MirrorWithout,
}

impl Edge {
    fn index(self, at: isize, size: usize) -> usize {
        let size = size as isize;
        let index = match self {
            Self::Nearest => at.clamp(0, size - 1),
            Self::Mirror => {
                let wrapped = at.rem_euclid(2 * size);
                wrapped.min(2 * size - 1 - wrapped)
            }
            Self::MirrorWithout if size == 1 => 0,
            Self::MirrorWithout => {
                let wrapped = at.rem_euclid(2 * size - 2);
                wrapped.min(2 * size - 2 - wrapped)
            }
        };
        index as usize
    }
}

impl Plane {
    pub(super) fn new(height: usize, width: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), height * width);
        Self { height, width, values }
    }

    /// A value for each row and column.
    pub(super) fn from_fn(
        height: usize,
        width: usize,
        mut value: impl FnMut(usize, usize) -> f32,
    ) -> Self {
        let mut values = Vec::with_capacity(height * width);
        for y in 0..height {
            for x in 0..width {
                values.push(value(y, x));
            }
        }
        Self { height, width, values }
    }

    pub(super) fn at(&self, y: usize, x: usize) -> f32 {
        self.values[y * self.width + x]
    }

    pub(super) fn beyond(&self, y: isize, x: isize, edge: Edge) -> f32 {
        self.at(edge.index(y, self.height), edge.index(x, self.width))
    }

    pub(super) fn map(self, value: impl FnMut(f32) -> f32) -> Self {
        Self { values: self.values.into_iter().map(value).collect(), ..self }
    }

    /// Truncates to bytes, as a file of bytes written without rounding would. Values that are
    /// already bytes stay, whatever f32 makes of them.
    pub(super) fn cut_to_bytes(self) -> Self {
        self.map(|value| ((f64::from(value.clamp(0.0, 1.0)) * 255.0 + 1e-4).floor() / 255.0) as f32)
    }

    /// Rounds to the nearest byte, ties up, whatever f32 makes of the midpoint.
    pub(super) fn rounded_to_bytes(self) -> Self {
        self.map(|value| value + 0.5 / 255.0).cut_to_bytes()
    }

    pub(super) fn mean(&self) -> f32 {
        (self.values.iter().map(|value| f64::from(*value)).sum::<f64>() / self.values.len() as f64)
            as f32
    }

    /// Bilinear interpolation between pixels.
    pub(super) fn between(&self, y: f32, x: f32, edge: Edge) -> f32 {
        let (top, left) = (y.floor(), x.floor());
        let (down, right) = (y - top, x - left);
        let at = |dy: isize, dx: isize| self.beyond(top as isize + dy, left as isize + dx, edge);
        let upper = at(0, 0) * (1.0 - right) + at(0, 1) * right;
        let lower = at(1, 0) * (1.0 - right) + at(1, 1) * right;
        upper * (1.0 - down) + lower * down
    }

    /// Cross-correlation with a square kernel of odd size.
    pub(super) fn filter(&self, kernel: &Self, edge: Edge) -> Self {
        let (dy, dx) = ((kernel.height / 2) as isize, (kernel.width / 2) as isize);
        Self::from_fn(self.height, self.width, |y, x| {
            let mut sum = 0.0;
            for ky in 0..kernel.height {
                for kx in 0..kernel.width {
                    let weight = kernel.at(ky, kx);
                    if weight != 0.0 {
                        sum += weight
                            * self.beyond(
                                y as isize + ky as isize - dy,
                                x as isize + kx as isize - dx,
                                edge,
                            );
                    }
                }
            }
            sum
        })
    }

    /// Gaussian blur, truncated after `truncate` standard deviations.
    pub(super) fn blurred(&self, sigma: f32, truncate: f32, edge: Edge) -> Self {
        let radius = (truncate * sigma + 0.5) as isize;
        if sigma <= 0.0 || radius == 0 {
            return self.clone();
        }
        let mut weights: Vec<f32> =
            (-radius..=radius).map(|step| (-0.5 * (step as f32 / sigma).powi(2)).exp()).collect();
        let total: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let across = |plane: &Self, down: bool| {
            Self::from_fn(plane.height, plane.width, |y, x| {
                let step = |(weight, offset): (&f32, isize)| {
                    let (y, x) = if down {
                        (y as isize + offset, x as isize)
                    } else {
                        (y as isize, x as isize + offset)
                    };
                    weight * plane.beyond(y, x, edge)
                };
                weights.iter().zip(-radius..=radius).map(step).sum()
            })
        };
        across(&across(self, true), false)
    }

    /// Enlarges the center bilinearly with aligned corners, cropped to the original size.
    pub(super) fn enlarged(&self, factor: f32) -> Self {
        let crop = |size: usize| ((size as f32 / factor).ceil() as usize).min(size);
        let (height, width) = (crop(self.height), crop(self.width));
        let (top, left) = ((self.height - height) / 2, (self.width - width) / 2);
        let size = |crop: usize| (crop as f32 * factor).round() as usize;
        let (tall, wide) = (size(height).max(self.height), size(width).max(self.width));
        let (trim_top, trim_left) = ((tall - self.height) / 2, (wide - self.width) / 2);
        let step = |crop: usize, size: usize| {
            if size > 1 { (crop - 1) as f32 / (size - 1) as f32 } else { 0.0 }
        };
        Self::from_fn(self.height, self.width, |y, x| {
            let y = (y + trim_top) as f32 * step(height, tall);
            let x = (x + trim_left) as f32 * step(width, wide);
            self.between(top as f32 + y, left as f32 + x, Edge::Nearest)
        })
    }

    /// Motion blur: convolves every pixel with a half Gaussian along a direction in degrees; pixels
    /// beyond the edge repeat the last value.
    pub(super) fn trailed(&self, radius: usize, sigma: f32, degrees: f32) -> Self {
        let length = 2 * radius + 1;
        let mut weights: Vec<f32> =
            (0..length).map(|step| (-0.5 * (step as f32 / sigma).powi(2)).exp()).collect();
        let total: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let (down, right) = degrees.to_radians().sin_cos();
        let offset = |step: usize, along: f32| (step as f32 * along).round() as isize;
        Self::from_fn(self.height, self.width, |y, x| {
            let step = |(step, weight): (usize, &f32)| {
                weight
                    * self.beyond(
                        y as isize + offset(step, down),
                        x as isize + offset(step, right),
                        Edge::Nearest,
                    )
            };
            weights.iter().enumerate().map(step).sum()
        })
    }

    /// Resizes by averaging, for every pixel, those whose centers it covers.
    pub(super) fn boxed(&self, height: usize, width: usize) -> Self {
        let covered = |index: usize, from: usize, to: usize| {
            let scale = from as f32 / to as f32;
            let support = 0.5 * scale.max(1.0);
            let center = (index as f32 + 0.5) * scale;
            let first = ((center - support + 0.5) as usize).min(from - 1);
            let last = ((center + support + 0.5) as usize).min(from).max(first + 1);
            first..last
        };
        Self::from_fn(height, width, |y, x| {
            let (rows, columns) = (covered(y, self.height, height), covered(x, self.width, width));
            let count = (rows.len() * columns.len()) as f32;
            rows.map(|row| columns.clone().map(|column| self.at(row, column)).sum::<f32>())
                .sum::<f32>()
                / count
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        let indices = |edge: Edge| (-3..6).map(|at| edge.index(at, 3)).collect::<Vec<_>>();
        assert_eq!(indices(Edge::Nearest), [0, 0, 0, 0, 1, 2, 2, 2, 2]);
        assert_eq!(indices(Edge::Mirror), [2, 1, 0, 0, 1, 2, 2, 1, 0]);
        assert_eq!(indices(Edge::MirrorWithout), [1, 2, 1, 0, 1, 2, 1, 0, 1]);
    }

    #[test]
    fn bytes_stay_and_what_lies_between_is_cut_off() {
        let bytes = Plane::from_fn(16, 16, |y, x| (16 * y + x) as f32 / 255.0);
        assert_eq!(bytes.clone().cut_to_bytes(), bytes);
        assert_eq!(bytes.clone().rounded_to_bytes(), bytes);
        assert_eq!(bytes.clone().map(|value| value + 0.7 / 255.0).cut_to_bytes(), bytes);
        assert_eq!(Plane::new(1, 2, vec![-1.0, 2.0]).cut_to_bytes().values, [0.0, 1.0]);
    }

    #[test]
    fn filters_keep_a_uniform_image() {
        let gray = Plane::from_fn(9, 11, |_, _| 0.25);
        for filtered in [
            gray.blurred(1.0, 4.0, Edge::Nearest),
            gray.enlarged(1.2),
            gray.trailed(4, 1.5, 30.0),
            gray.boxed(5, 7).boxed(9, 11),
        ] {
            assert_eq!((filtered.height, filtered.width), (9, 11));
            assert!(filtered.values.iter().all(|value| (value - 0.25).abs() < 1e-6));
        }
    }

    #[test]
    fn a_blur_is_a_gaussian() {
        let impulse = Plane::from_fn(5, 5, |y, x| f32::from(u8::from((y, x) == (2, 2))));
        let blurred = impulse.blurred(0.7, 4.0, Edge::Nearest);
        let side = (-0.5f32 / 0.49).exp();
        assert!((blurred.at(2, 1) / blurred.at(2, 2) - side).abs() < 1e-5);
        assert!((blurred.values.iter().sum::<f32>() - 1.0).abs() < 1e-2);
    }
}
