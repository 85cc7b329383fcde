//! Labeled images for evaluation.

use crate::{Criterion, Error, Result};

/// Labeled images `[images, channels, height, width]`, every value in [0, 1].
///
/// Each image keeps the number under which it was first given. Its random streams depend on this
/// number, so that it gets the same noise and random starts on its own, in any subset and in any
/// batch.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledBatch {
    shape: [usize; 3],
    pixels: Vec<f32>,
    labels: Vec<usize>,
    criteria: Vec<Criterion>,
    numbers: Vec<usize>,
}

impl LabeledBatch {
    /// Makes a batch of `labels.len() * channels * height * width` values. Attacks aim at any class
    /// but the label. `LabeledImages::to_unit` of the crate `brainprior-images` gives pixels and
    /// labels of a set in bytes.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the number of values does not match or a size is 0, and
    /// [`Error::Pixel`] if a value is outside [0, 1].
    pub fn new(
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<f32>,
        labels: Vec<usize>,
    ) -> Result<Self> {
        let area = channels * height * width;
        if area == 0 || pixels.len() != labels.len() * area {
            return Err(Error::Size {
                what: "values of the images",
                expected: format!(
                    "{} images of {channels} x {height} x {width}, all sizes at least 1",
                    labels.len()
                ),
                found: pixels.len().to_string(),
            });
        }
        if let Some(index) = pixels.iter().position(|pixel| !(0.0..=1.0).contains(pixel)) {
            return Err(Error::Pixel {
                image: index / area,
                pixel: index % area,
                found: pixels[index],
            });
        }
        let numbers = (0..labels.len()).collect();
        let criteria =
            labels.iter().map(|label| Criterion::Misclassification { label: *label }).collect();
        Ok(Self { shape: [channels, height, width], pixels, labels, criteria, numbers })
    }

    /// The same images with a target class for each.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if the numbers of classes and images differ, and [`Error::Target`]
    /// if a target class is the label of its image.
    pub fn with_targets(self, targets: &[usize]) -> Result<Self> {
        if targets.len() != self.len() {
            let (expected, found) =
                (format!("{}, one per image", self.len()), targets.len().to_string());
            return Err(Error::Size { what: "target classes", expected, found });
        }
        if let Some(index) = (0..targets.len()).find(|index| targets[*index] == self.labels[*index])
        {
            return Err(Error::Target { image: self.numbers[index], class: targets[index] });
        }
        Ok(Self {
            criteria: targets
                .iter()
                .map(|class| Criterion::TargetedMisclassification { class: *class })
                .collect(),
            ..self
        })
    }

    /// The images at `indices`, in that order. They keep their numbers.
    ///
    /// # Panics
    /// Panics if an index is out of range.
    pub fn subset(&self, indices: &[usize]) -> Self {
        Self {
            shape: self.shape,
            pixels: indices.iter().flat_map(|index| self.image(*index)).copied().collect(),
            labels: indices.iter().map(|index| self.labels[*index]).collect(),
            criteria: indices.iter().map(|index| self.criteria[*index]).collect(),
            numbers: indices.iter().map(|index| self.numbers[*index]).collect(),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of values of an image.
    pub fn area(&self) -> usize {
        self.shape.iter().product()
    }

    /// Values of image `index`.
    pub fn image(&self, index: usize) -> &[f32] {
        &self.pixels[index * self.area()..(index + 1) * self.area()]
    }

    /// Label of image `index`.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    /// Labels of all images.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Success criterion for attacks on image `index`.
    pub fn criterion(&self, index: usize) -> Criterion {
        self.criteria[index]
    }

    /// Checks that every label and target is below `classes`.
    pub(crate) fn check_classes(&self, classes: usize) -> Result<()> {
        for (index, image) in self.numbers.iter().enumerate() {
            if let Some(found) = [self.labels[index], self.criteria[index].class()]
                .into_iter()
                .find(|class| *class >= classes)
            {
                return Err(Error::Label { image: *image, found, classes });
            }
        }
        Ok(())
    }

    /// The number under which each image was first given.
    pub fn numbers(&self) -> &[usize] {
        &self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_are_named() {
        let error = LabeledBatch::new(1, 1, 2, vec![0.0, 1.0, 0.5, 1.5], vec![0, 1])
            .unwrap_err()
            .to_string();
        assert!(error.contains("image 1, pixel 1") && error.contains("1.5"), "{error}");
        assert!(LabeledBatch::new(1, 1, 2, vec![0.0, f32::NAN], vec![0]).is_err());
        assert!(LabeledBatch::new(1, 1, 2, vec![0.0; 3], vec![0]).is_err());
        assert!(LabeledBatch::new(0, 1, 2, vec![], vec![0]).is_err());
    }

    #[test]
    fn a_target_is_not_the_label() {
        let labeled_batch = || LabeledBatch::new(1, 1, 1, vec![0.1, 0.2], vec![5, 6]).unwrap();
        assert_eq!(labeled_batch().criterion(1), Criterion::Misclassification { label: 6 });
        assert_eq!(
            labeled_batch().with_targets(&[1, 2]).unwrap().subset(&[1]).criterion(0),
            Criterion::TargetedMisclassification { class: 2 }
        );
        assert!(matches!(
            labeled_batch().with_targets(&[1, 6]),
            Err(Error::Target { image: 1, class: 6 })
        ));
        assert!(matches!(labeled_batch().with_targets(&[1]), Err(Error::Size { .. })));
    }

    #[test]
    fn a_subset_keeps_the_numbers() {
        let labeled = LabeledBatch::new(1, 1, 1, vec![0.1, 0.2, 0.3], vec![5, 6, 7]).unwrap();
        let subset = labeled.subset(&[2, 0]).subset(&[0]);
        assert_eq!((subset.image(0), subset.label(0), subset.numbers()), (&[0.3][..], 7, &[2][..]));
    }
}
