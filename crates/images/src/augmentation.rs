//! Random augmentation of training images.
//!
//! This is the augmentation in the code that the paper's code builds on: a random crop of the
//! image's own size after reflecting 4 pixels beyond each border, then a horizontal flip with
//! probability 1/2 (torchvision: `RandomCrop(32, padding=4, padding_mode="reflect")`,
//! `RandomHorizontalFlip(0.5)`).

use crate::{Error, Result};
use rand::Rng;

/// One draw of a random crop with reflected borders and a random flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropFlip {
    padding: usize,
    top: usize,
    left: usize,
    flip: bool,
}

impl CropFlip {
    /// Draws, in this order, the top row and left column of the crop within the padded image, each
    /// uniform in `0..=2 * padding`, and whether to flip. `top = left = padding` without a flip
    /// leaves an image unchanged.
    pub fn draw(padding: usize, rng: &mut impl Rng) -> Self {
        let top = rng.random_range(0..=2 * padding);
        let left = rng.random_range(0..=2 * padding);
        Self { padding, top, left, flip: rng.random_bool(0.5) }
    }

    /// Writes the crop of `image`, `[channels, height, width]`, into `out` of the same size.
    ///
    /// Borders are mirrored without repeating the border pixel, like PyTorch's `reflect`: columns
    /// `a b c d` are followed by `c b a`.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the slices are not whole images of the same size, or if the
    /// padding is not smaller than both sides of the image.
    pub fn apply(&self, image: &[f32], height: usize, width: usize, out: &mut [f32]) -> Result<()> {
        let area = height * width;
        if area == 0 || !image.len().is_multiple_of(area) || image.len() != out.len() {
            return Err(Error::Size {
                what: "the image to augment and its output",
                expected: format!("the same multiple of {height} x {width}"),
                found: format!("{} and {}", image.len(), out.len()),
            });
        }
        if self.padding >= height.min(width) {
            return Err(Error::Size {
                what: "reflection padding",
                expected: format!("below {}, the smaller side of the image", height.min(width)),
                found: self.padding.to_string(),
            });
        }
        for (source, target) in image.chunks_exact(area).zip(out.chunks_exact_mut(area)) {
            for (y, row) in target.chunks_exact_mut(width).enumerate() {
                let from = &source[reflect(y + self.top, self.padding, height) * width..][..width];
                for (x, pixel) in row.iter_mut().enumerate() {
                    let column = if self.flip { width - 1 - x } else { x };
                    *pixel = from[reflect(column + self.left, self.padding, width)];
                }
            }
        }
        Ok(())
    }
}

/// The pixel of `0..size` at position `padded` of the padded image.
fn reflect(padded: usize, padding: usize, size: usize) -> usize {
    let position = padded.abs_diff(padding);
    if padded >= padding && position >= size { 2 * (size - 1) - position } else { position }
}

/// Draws one crop and flip with `rng` and writes it; see [`CropFlip`].
///
/// # Errors
/// See [`CropFlip::apply`].
pub fn random_crop_flip(
    image: &[f32],
    height: usize,
    width: usize,
    padding: usize,
    rng: &mut impl Rng,
    out: &mut [f32],
) -> Result<()> {
    CropFlip::draw(padding, rng).apply(image, height, width, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn borders_are_mirrored_like_pytorch() {
        // torch.nn.functional.pad(torch.arange(4.)[None], (3, 3), mode="reflect")
        let padded: Vec<usize> = (0..10).map(|position| reflect(position, 3, 4)).collect();
        assert_eq!(padded, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
    }

    #[test]
    fn crop_then_flip() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut out = [0.0; 6];
        let mut draw = CropFlip { padding: 1, top: 0, left: 2, flip: false };
        draw.apply(&image, 2, 3, &mut out).unwrap();
        assert_eq!(out, [5.0, 6.0, 5.0, 2.0, 3.0, 2.0]);
        draw = CropFlip { padding: 1, top: 1, left: 0, flip: true };
        draw.apply(&image, 2, 3, &mut out).unwrap();
        assert_eq!(out, [2.0, 1.0, 2.0, 5.0, 4.0, 5.0]);
    }

    #[test]
    fn sizes_are_checked() {
        let draw = CropFlip { padding: 2, top: 0, left: 0, flip: false };
        assert!(
            draw.apply(&[0.0; 6], 2, 3, &mut [0.0; 6]).unwrap_err().to_string().contains("padding")
        );
        assert!(draw.apply(&[0.0; 12], 3, 4, &mut [0.0; 6]).is_err());
    }

    #[test]
    fn every_offset_and_both_flips_occur() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let draws: Vec<CropFlip> = (0..2000).map(|_| CropFlip::draw(4, &mut rng)).collect();
        for offset in 0..=8 {
            assert!(
                draws.iter().any(|draw| draw.top == offset)
                    && draws.iter().any(|draw| draw.left == offset)
            );
        }
        let flips = draws.iter().filter(|draw| draw.flip).count();
        assert!((900..1100).contains(&flips), "{flips} flips of 2000");
    }

    proptest! {
        /// Compares with a padded image that is written out, row by row.
        #[test]
        fn agrees_with_explicit_padding(seed: u64, height in 3usize..8, width in 3usize..8, padding in 0usize..3) {
            let image: Vec<f32> = (0..2 * height * width).map(|value| value as f32).collect();
            let draw = CropFlip::draw(padding, &mut ChaCha8Rng::seed_from_u64(seed));
            let mut out = vec![0.0; image.len()];
            draw.apply(&image, height, width, &mut out).unwrap();
            let axis = |size: usize| -> Vec<usize> {
                (1..=padding).rev().chain(0..size).chain((0..size - 1).rev().take(padding)).collect()
            };
            let (rows, columns) = (axis(height), axis(width));
            for channel in 0..2 {
                for y in 0..height {
                    let mut row: Vec<f32> = (0..width)
                        .map(|x| image[channel * height * width + rows[y + draw.top] * width + columns[x + draw.left]])
                        .collect();
                    if draw.flip {
                        row.reverse();
                    }
                    prop_assert_eq!(&out[(channel * height + y) * width..][..width], &row[..]);
                }
            }
        }
    }
}
