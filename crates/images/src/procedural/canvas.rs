//! Anti-aliased drawing.

/// Samples along each side of a pixel; a pixel is the mean of its samples.
const SAMPLES: usize = 2;

/// Luminance of a scene in arbitrary units, on a grid finer than the pixels. Coordinates are pixels
/// from the top left.
pub(super) struct Canvas {
    height: usize,
    width: usize,
    samples: Vec<f32>,
}

impl Canvas {
    pub(super) fn new(height: usize, width: usize) -> Self {
        Self { height, width, samples: vec![0.0; height * width * SAMPLES * SAMPLES] }
    }

    pub(super) fn height(&self) -> f32 {
        self.height as f32
    }

    pub(super) fn width(&self) -> f32 {
        self.width as f32
    }

    /// Draws an object over the scene. For each sample within `radius` of (`x`, `y`), `luminance`
    /// receives the offset from (`x`, `y`) and returns the new luminance, or `None` where the
    /// object does not cover the sample.
    pub(super) fn cover(
        &mut self,
        x: f32,
        y: f32,
        radius: f32,
        luminance: impl Fn(f32, f32) -> Option<f32>,
    ) {
        let step = 1.0 / SAMPLES as f32;
        let columns = self.width * SAMPLES;
        // Conversion to an unsigned integer saturates at 0.
        let from = |center: f32| ((center - radius) / step).floor() as usize;
        let to =
            |center: f32, limit: usize| (((center + radius) / step).ceil() as usize + 1).min(limit);
        for row in from(y)..to(y, self.height * SAMPLES) {
            let dy = (row as f32 + 0.5) * step - y;
            for column in from(x)..to(x, columns) {
                let dx = (column as f32 + 0.5) * step - x;
                if let Some(value) = luminance(dx, dy) {
                    self.samples[row * columns + column] = value;
                }
            }
        }
    }

    /// Mean over the samples of each pixel, row-major.
    pub(super) fn pixels(&self) -> Vec<f32> {
        let columns = self.width * SAMPLES;
        let mut pixels = vec![0.0; self.height * self.width];
        for (row, samples) in self.samples.chunks_exact(columns).enumerate() {
            let line = &mut pixels[row / SAMPLES * self.width..][..self.width];
            for (pixel, group) in line.iter_mut().zip(samples.chunks_exact(SAMPLES)) {
                *pixel += group.iter().sum::<f32>() / (SAMPLES * SAMPLES) as f32;
            }
        }
        pixels
    }
}

/// Scales pixels to a mean and a standard deviation; a uniform image stays uniform.
pub(super) fn expose(pixels: &mut [f32], mean: f32, std: f32) {
    let count = pixels.len() as f32;
    let found = pixels.iter().sum::<f32>() / count;
    let spread = (pixels.iter().map(|pixel| (pixel - found).powi(2)).sum::<f32>() / count).sqrt();
    let gain = if spread > 0.0 { std / spread } else { 0.0 };
    pixels.iter_mut().for_each(|pixel| *pixel = mean + (*pixel - found) * gain);
}

/// Converts a pixel to a byte. Within a tenth of black and white the response bends like that of
/// film, instead of clipping.
pub(super) fn develop(pixel: f32) -> u8 {
    const BEND: f32 = 0.1;
    let toe = |light: f32| if light < BEND { BEND * ((light - BEND) / BEND).exp() } else { light };
    let bent = if pixel < 0.5 { toe(pixel) } else { 1.0 - toe(1.0 - pixel) };
    (bent * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_smooth_and_clipped() {
        let mut canvas = Canvas::new(4, 4);
        // A disc around the top left corner of pixel (1, 1) covers a quarter of a little more than
        // one pixel each.
        canvas.cover(1.0, 1.0, 1.0, |dx, dy| (dx * dx + dy * dy <= 0.5).then_some(1.0));
        let pixels = canvas.pixels();
        assert_eq!(&pixels[..2], &[0.25, 0.25]);
        assert_eq!(pixels[10], 0.0);
        canvas.cover(-1.0, 9.0, 3.0, |_, _| Some(5.0));
        assert_eq!(canvas.pixels()[0], 0.25);
        canvas.cover(2.0, 2.0, 9.0, |_, _| Some(5.0));
        assert_eq!(canvas.pixels(), [5.0; 16]);
    }

    #[test]
    fn exposure() {
        let mut pixels = [1.0, 3.0, 5.0, 7.0];
        expose(&mut pixels, 0.5, 0.1);
        let mean = pixels.iter().sum::<f32>() / 4.0;
        let variance = pixels.iter().map(|pixel| (pixel - mean).powi(2)).sum::<f32>() / 4.0;
        assert!((mean - 0.5).abs() < 1e-6 && (variance - 0.01).abs() < 1e-6);
        let mut even = [2.0; 3];
        expose(&mut even, 0.5, 0.1);
        assert_eq!(even, [0.5; 3]);
        assert_eq!(
            [-1.0, 0.0, 0.1, 0.5, 0.9, 1.0, 2.0].map(develop),
            [0, 9, 26, 128, 230, 246, 255]
        );
    }
}
