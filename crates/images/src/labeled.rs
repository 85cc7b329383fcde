//! Labeled images for classification.

use crate::{Error, Result};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Images of one size, with a class for each: bytes 0..=255, row-major `[images, channels, height,
/// width]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabeledImages {
    channels: usize,
    height: usize,
    width: usize,
    pixels: Vec<u8>,
    labels: Vec<u8>,
    class_names: Vec<String>,
}

/// A labeled set with a training and a test part, equal in image size and classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabeledSplit {
    /// Training images.
    pub train: LabeledImages,
    /// Test images.
    pub test: LabeledImages,
}

impl LabeledImages {
    /// Creates a set from `labels.len() * channels * height * width` pixels and one label per
    /// image, an index into `class_names`.
    ///
    /// # Errors
    /// Returns an error if the image size is zero, if there are not `channels * height * width`
    /// pixels per label, if there are no or more than 256 classes, or if a label is beyond the last
    /// class.
    pub fn new(
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<u8>,
        labels: Vec<u8>,
        class_names: Vec<String>,
    ) -> Result<Self> {
        let area =
            channels.checked_mul(height).and_then(|rows| rows.checked_mul(width)).unwrap_or(0);
        if area == 0 || Some(pixels.len()) != labels.len().checked_mul(area) {
            return Err(Error::Size {
                what: "pixels of a labeled set",
                expected: format!(
                    "{} labels x {channels} x {height} x {width}, all sizes above 0",
                    labels.len()
                ),
                found: pixels.len().to_string(),
            });
        }
        if class_names.is_empty() || class_names.len() > 256 {
            return Err(Error::Size {
                what: "classes of a labeled set",
                expected: "1 to 256".into(),
                found: class_names.len().to_string(),
            });
        }
        if let Some(record) =
            labels.iter().position(|label| usize::from(*label) >= class_names.len())
        {
            return Err(Error::Label { record, found: labels[record], classes: class_names.len() });
        }
        Ok(Self { channels, height, width, pixels, labels, class_names })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// 1 for grayscale, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows of an image.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of an image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Name of each class, by label.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Bytes of image `index`, `[channels, height, width]`.
    pub fn image(&self, index: usize) -> &[u8] {
        let area = self.channels * self.height * self.width;
        &self.pixels[index * area..(index + 1) * area]
    }

    /// All bytes, `[images, channels, height, width]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Class of image `index`.
    pub fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }

    /// Class of each image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Writes image `index` in [0, 1] (byte / 255) into `out`, of `channels * height * width`.
    ///
    /// # Panics
    /// Panics if there is no such image or `out` has another size.
    pub fn pixels_unit(&self, index: usize, out: &mut [f32]) {
        let image = self.image(index);
        assert_eq!(out.len(), image.len(), "the output has the size of one image");
        for (unit, byte) in out.iter_mut().zip(image) {
            *unit = f32::from(*byte) / 255.0;
        }
    }

    /// Converts to grayscale: the luma of ITU-R 601 in integers, `(19595 R + 38470 G + 7471 B +
    /// 32768) >> 16`, as common image libraries compute it. Images with one channel stay unchanged.
    ///
    /// # Panics
    /// Panics if the number of channels is neither 1 nor 3.
    pub fn to_grayscale(&self) -> Self {
        if self.channels == 1 {
            return self.clone();
        }
        assert_eq!(self.channels, 3, "luma is defined for RGB images");
        let area = self.height * self.width;
        let mut pixels = Vec::with_capacity(self.len() * area);
        for image in self.pixels.chunks_exact(3 * area) {
            let (red, rest) = image.split_at(area);
            let (green, blue) = rest.split_at(area);
            pixels.extend(
                red.iter()
                    .zip(green)
                    .zip(blue)
                    .map(|((red, green), blue)| luma(*red, *green, *blue)),
            );
        }
        Self { channels: 1, pixels, ..self.clone_without_pixels() }
    }

    /// All pixels in [0, 1] and all labels, as evaluations of robustness take them:
    /// `LabeledBatch::new(images.channels(), images.height(), images.width(), pixels, labels)`.
    pub fn to_unit(&self) -> (Vec<f32>, Vec<usize>) {
        let area = self.pixels.len() / self.len().max(1);
        let mut pixels = vec![0.0; self.pixels.len()];
        for (index, target) in pixels.chunks_exact_mut(area.max(1)).enumerate() {
            self.pixels_unit(index, target);
        }
        (pixels, self.labels.iter().copied().map(usize::from).collect())
    }

    /// The first `count` images, or all if there are fewer.
    pub fn take(&self, count: usize) -> Self {
        self.subset(&(0..count.min(self.len())).collect::<Vec<_>>())
    }

    /// The images at `indices`, in that order.
    ///
    /// # Panics
    /// Panics if an index is out of range.
    pub fn subset(&self, indices: &[usize]) -> Self {
        Self {
            pixels: indices.iter().flat_map(|index| self.image(*index)).copied().collect(),
            labels: indices.iter().map(|index| self.label(*index)).collect(),
            ..self.clone_without_pixels()
        }
    }

    /// Holds out a random `fraction` of the images: returns the training and the validation part.
    /// Both keep the order of the set; the validation part has `fraction * len` images, rounded.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the fraction is outside [0, 1).
    pub fn split_validation(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        if !(0.0..1.0).contains(&fraction) {
            return Err(Error::Size {
                what: "the fraction of validation images",
                expected: "at least 0 and below 1".into(),
                found: fraction.to_string(),
            });
        }
        let count = (fraction * self.len() as f64).round() as usize;
        let mut indices: Vec<usize> = (0..self.len()).collect();
        indices.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let (validation, train) = indices.split_at_mut(count);
        validation.sort_unstable();
        train.sort_unstable();
        Ok((self.subset(train), self.subset(validation)))
    }

    fn clone_without_pixels(&self) -> Self {
        Self {
            channels: self.channels,
            height: self.height,
            width: self.width,
            pixels: Vec::new(),
            labels: self.labels.clone(),
            class_names: self.class_names.clone(),
        }
    }
}

pub(crate) fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let weighted =
        19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 32_768;
    // The weights sum to 2^16, so white stays 255.
    (weighted >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|label| label.to_string()).collect()
    }

    #[test]
    fn labels_and_sizes_are_checked() {
        let error = LabeledImages::new(1, 1, 1, vec![0; 3], vec![0, 2, 1], names(2))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("record 1") && error.contains("label 2") && error.contains("0 to 1"),
            "{error}"
        );
        assert!(LabeledImages::new(1, 2, 2, vec![0; 7], vec![0, 1], names(2)).is_err());
        assert!(LabeledImages::new(0, 2, 2, vec![], vec![], names(2)).is_err());
        assert!(LabeledImages::new(1, 1, 1, vec![0], vec![0], vec![]).is_err());
    }

    #[test]
    fn grayscale_is_luma() {
        let pixels = vec![255, 255, 255, 0, 0, 0, 10, 20, 30];
        let channels_first: Vec<u8> =
            (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect();
        let gray =
            LabeledImages::new(3, 1, 3, channels_first, vec![1], names(2)).unwrap().to_grayscale();
        // 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15
        assert_eq!(gray.image(0), [255, 0, 18]);
        assert_eq!((gray.channels(), gray.label(0)), (1, 1));
        assert_eq!(gray.to_grayscale(), gray);
    }

    #[test]
    fn validation_is_disjoint_and_repeatable() {
        let images =
            LabeledImages::new(1, 1, 1, (0..100).collect(), vec![0; 100], names(1)).unwrap();
        let (train, validation) = images.split_validation(0.1, 7).unwrap();
        assert_eq!((train.len(), validation.len()), (90, 10));
        let mut all: Vec<u8> = train.pixels().iter().chain(validation.pixels()).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<u8>>());
        assert_eq!(images.split_validation(0.1, 7).unwrap().1, validation);
        assert_ne!(images.split_validation(0.1, 8).unwrap().1, validation);
        assert!(
            images.split_validation(1.0, 7).is_err()
                && images.split_validation(f64::NAN, 7).is_err()
        );
    }

    #[test]
    fn units_and_subsets() {
        let images =
            LabeledImages::new(1, 1, 2, vec![0, 51, 102, 255], vec![0, 1], names(2)).unwrap();
        let mut out = [0.0; 2];
        images.pixels_unit(1, &mut out);
        assert_eq!(out, [0.4, 1.0]);
        assert_eq!(images.take(1).labels(), [0]);
        assert_eq!(images.take(5), images);
        assert_eq!(images.subset(&[1, 0]).pixels(), [102, 255, 0, 51]);
    }
}
