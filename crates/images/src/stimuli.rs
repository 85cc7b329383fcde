//! Sets of distinct grayscale stimuli.

use crate::{Error, ImageId, Result};
use rayon::prelude::*;
use std::collections::HashMap;

/// Distinct grayscale images of one size, f32 in [0, 1], row-major `[images, height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct StimulusSet {
    height: usize,
    width: usize,
    ids: Vec<ImageId>,
    pixels: Vec<f32>,
    positions: HashMap<ImageId, usize>,
}

impl StimulusSet {
    /// Creates a set from `images * height * width` pixels.
    ///
    /// # Errors
    /// Returns an error if a size is zero, if the pixels are not a whole number of images, if a
    /// pixel is outside [0, 1], or if two images are equal.
    pub fn new(height: usize, width: usize, pixels: Vec<f32>) -> Result<Self> {
        let area = height.checked_mul(width).unwrap_or(0);
        if area == 0 || !pixels.len().is_multiple_of(area) {
            return Err(Error::Size {
                what: "pixels of a stimulus set",
                expected: format!("a multiple of {height} x {width}, both above 0"),
                found: pixels.len().to_string(),
            });
        }
        if let Some(index) = pixels.par_iter().position_first(|pixel| !(0.0..=1.0).contains(pixel))
        {
            return Err(Error::Pixel {
                image: index / area,
                pixel: index % area,
                found: pixels[index],
            });
        }
        let ids: Vec<ImageId> =
            pixels.par_chunks(area).map(|image| ImageId::of(height, width, image)).collect();
        let mut positions = HashMap::with_capacity(ids.len());
        for (second, id) in ids.iter().enumerate() {
            if let Some(first) = positions.insert(*id, second) {
                return Err(Error::Duplicate { first, second, id: *id });
            }
        }
        Ok(Self { height, width, ids, pixels, positions })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Rows of an image.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of an image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Identity of each image, in order.
    pub fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    /// Pixels of image `index`.
    pub fn image(&self, index: usize) -> &[f32] {
        let area = self.height * self.width;
        &self.pixels[index * area..(index + 1) * area]
    }

    /// All pixels, `[images, height, width]`.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// Index of an image in this set.
    pub fn position(&self, id: ImageId) -> Option<usize> {
        self.positions.get(&id).copied()
    }

    /// The images at `indices` (distinct), in that order.
    ///
    /// # Panics
    /// Panics if an index is out of range or given twice.
    pub fn subset(&self, indices: &[usize]) -> Self {
        let ids: Vec<ImageId> = indices.iter().map(|index| self.ids[*index]).collect();
        let positions: HashMap<ImageId, usize> =
            ids.iter().enumerate().map(|(position, id)| (*id, position)).collect();
        assert_eq!(positions.len(), ids.len(), "a subset contains each image once");
        let pixels = indices.iter().flat_map(|index| self.image(*index).iter().copied()).collect();
        Self { height: self.height, width: self.width, ids, pixels, positions }
    }

    /// All images of several sets, each once, in the order in which they first appear.
    ///
    /// # Errors
    /// Returns [`Error::Size`] if there is no set or the image sizes differ.
    pub fn union(sets: &[&StimulusSet]) -> Result<Self> {
        let Some(first) = sets.first() else {
            return Err(Error::Size {
                what: "a union of stimulus sets",
                expected: "at least one set".into(),
                found: "none".into(),
            });
        };
        let mut union = Self {
            height: first.height,
            width: first.width,
            ids: vec![],
            pixels: vec![],
            positions: HashMap::new(),
        };
        for set in sets {
            if (set.height, set.width) != (first.height, first.width) {
                return Err(Error::Size {
                    what: "images of the sets to unite",
                    expected: format!("{} x {} pixels, as in the first", first.height, first.width),
                    found: format!("{} x {}", set.height, set.width),
                });
            }
            for (index, id) in set.ids.iter().enumerate() {
                if !union.positions.contains_key(id) {
                    union.positions.insert(*id, union.ids.len());
                    union.ids.push(*id);
                    union.pixels.extend_from_slice(set.image(index));
                }
            }
        }
        Ok(union)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[f32]) -> StimulusSet {
        StimulusSet::new(1, 2, values.iter().flat_map(|value| [*value, 0.5]).collect()).unwrap()
    }

    #[test]
    fn errors_name_image_and_pixel() {
        let error = StimulusSet::new(1, 2, vec![0.0, 0.1, 0.2, 255.0]).unwrap_err().to_string();
        assert!(error.contains("image 1, pixel 1") && error.contains("255"), "{error}");
        assert!(StimulusSet::new(1, 2, vec![f32::NAN, 0.0]).is_err());
        assert!(StimulusSet::new(1, 2, vec![0.0; 3]).is_err());
        let error = StimulusSet::new(1, 1, vec![0.5, 0.1, 0.5]).unwrap_err().to_string();
        assert!(error.contains("images 0 and 2"), "{error}");
    }

    #[test]
    fn union_matches_by_content() {
        let union = StimulusSet::union(&[&set(&[0.1, 0.2]), &set(&[0.2, 0.3])]).unwrap();
        assert_eq!(union.len(), 3);
        assert_eq!(union.image(2), &[0.3, 0.5]);
        assert_eq!(union.position(set(&[0.2]).ids()[0]), Some(1));
        let other = StimulusSet::new(2, 1, vec![0.0, 1.0]).unwrap();
        assert!(StimulusSet::union(&[&union, &other]).is_err());
    }

    #[test]
    fn subset_keeps_order() {
        let subset = set(&[0.1, 0.2, 0.3]).subset(&[2, 0]);
        assert_eq!(subset.image(0), &[0.3, 0.5]);
        assert_eq!(subset.len(), 2);
    }
}
