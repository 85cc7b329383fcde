//! Divides images by their local contrast.
//!
//! Cells in visual cortex divide by the activity around them (Carandini & Heeger 2012,
//! "Normalization as a canonical neural computation"). Layers of convolution and ELU learn such a
//! division slowly and badly. Dividing the image (as in Pinto et al. 2008, "Why is real-world
//! visual object recognition hard?") is cheap and needs no gradient, since it has no parameters.

use brainprior_kernels::{Conv2dGeometry, conv2d};
use candle_core::{Result, Tensor};

/// Added to the local contrast, in standard deviations of the training pixels; lower contrast is
/// noise.
const FLOOR: f64 = 0.1;
/// Half the extent of the window in standard deviations.
const EXTENT: f64 = 2.5;

/// `images` `[batch, 1, height, width]` minus their local mean, divided by their local standard
/// deviation plus [`FLOOR`]. Both use a Gaussian window with a standard deviation of `window`
/// pixels and repeated border pixels.
pub(super) fn divided(images: &Tensor, window: f64) -> Result<Tensor> {
    let reach = (EXTENT * window).ceil() as usize;
    let line: Vec<f64> = (0..=2 * reach)
        .map(|i| (i as f64 - reach as f64).powi(2) / (-2.0 * window * window))
        .map(f64::exp)
        .collect();
    let sum: f64 = line.iter().sum();
    let line: Vec<f32> = line.iter().map(|share| (share / sum) as f32).collect();
    let across = Tensor::new(line, images.device())?.reshape((1, 1, 1, 2 * reach + 1))?;
    let down = across.reshape((1, 1, 2 * reach + 1, 1))?;
    let local_mean = |x: &Tensor| {
        let padded = x.pad_with_same(3, reach, reach)?.pad_with_same(2, reach, reach)?;
        conv2d(
            &conv2d(&padded, &across, Conv2dGeometry::default())?,
            &down,
            Conv2dGeometry::default(),
        )
    };
    let detail = (images - local_mean(images)?)?;
    let contrast = local_mean(&detail.sqr()?)?.relu()?.sqrt()?;
    detail / (contrast + FLOOR)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const SIZE: [usize; 2] = [7, 9];

    fn image() -> Vec<f64> {
        (0..SIZE[0] * SIZE[1]).map(|i| ((i * 37) % 23) as f64 / 7.0 - 1.5).collect()
    }

    fn found(image: &[f64], window: f64) -> Vec<f32> {
        let values: Vec<f32> = image.iter().map(|v| *v as f32).collect();
        let images = Tensor::from_vec(values, (1, 1, SIZE[0], SIZE[1]), &Device::Cpu).unwrap();
        divided(&images, window).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The local mean around each pixel, by its definition.
    fn local_mean(image: &[f64], window: f64) -> Vec<f64> {
        let reach = (EXTENT * window).ceil() as isize;
        let [rows, columns] = SIZE.map(|size| size as isize);
        let mean = |row: isize, column: isize| {
            let (mut sum, mut shares) = (0.0, 0.0);
            for r in row - reach..=row + reach {
                for c in column - reach..=column + reach {
                    let share = (-((r - row).pow(2) + (c - column).pow(2)) as f64
                        / (2.0 * window * window))
                        .exp();
                    sum += share
                        * image
                            [(r.clamp(0, rows - 1) * columns + c.clamp(0, columns - 1)) as usize];
                    shares += share;
                }
            }
            sum / shares
        };
        (0..rows * columns).map(|i| mean(i / columns, i % columns)).collect()
    }

    #[test]
    fn follows_the_definition() {
        for window in [0.6, 2.0, 6.0] {
            let image = image();
            let detail: Vec<f64> =
                image.iter().zip(local_mean(&image, window)).map(|(v, mean)| v - mean).collect();
            let squares: Vec<f64> = detail.iter().map(|d| d * d).collect();
            let variance = local_mean(&squares, window);
            for (i, found) in found(&image, window).into_iter().enumerate() {
                let expected = detail[i] / (variance[i].sqrt() + FLOOR);
                assert!(
                    (f64::from(found) - expected).abs() < 1e-5,
                    "window {window}, pixel {i}: {found}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn high_contrast_does_not_matter_and_none_is_nothing() {
        let image = image();
        let [once, twice] = [100.0, 200.0]
            .map(|factor| found(&image.iter().map(|v| v * factor).collect::<Vec<_>>(), 2.0));
        assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() < 5e-3));
        assert!(found(&vec![3.0; image.len()], 2.0).iter().all(|v| v.abs() < 1e-5));
    }
}
