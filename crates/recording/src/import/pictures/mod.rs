//! The images that were shown, from arrays or pictures: grayscale, in [0, 1], at the requested
//! size.

mod array;
mod files;
mod resize;

pub(super) use array::{Numbers, of_array, units};
pub(super) use files::{of_files, pictures_in};

use super::Account;
use super::asked::Asked;
use crate::Result;
use brainprior_artifact::FileError;
use brainprior_images::{ImageId, Picture, StimulusSet};
use rayon::prelude::*;
use resize::{area_average, area_average_bytes};
use std::collections::HashMap;
use std::path::Path;

/// The distinct images.
pub(super) struct Images {
    pub stimuli: StimulusSet,
    /// For each distinct image, its number in the source.
    pub labels: Vec<i64>,
    /// For each image of the source, its index among the distinct images.
    pub distinct: Vec<usize>,
}

/// Images before conversion to grayscale and resizing: `[images, channels, height, width]`.
pub(super) struct Stored {
    pub shape: [usize; 4],
    pub pixels: Pixels,
}

pub(super) enum Pixels {
    Bytes(Vec<u8>),
    /// In [0, 1].
    Units(Vec<f32>),
}

impl Stored {
    /// Converts to grayscale, with luma if requested.
    pub(super) fn into_gray(
        self,
        asked: Asked,
        path: &Path,
        luma: bool,
        account: &mut Account,
    ) -> Result<Self> {
        let [count, channels, height, width] = self.shape;
        if self.shape.contains(&0) {
            let found = format!("{count} images of {height} x {width}");
            return Err(FileError::mismatch(
                path,
                "images",
                "images with pixels",
                found,
                "choose those that were shown",
            )
            .into());
        }
        match (channels, luma) {
            (1, false) => return Ok(self),
            (1, true) => {
                account.assumes(
                    "the images are grayscale already, so the conversion to luma has no effect",
                );
                return Ok(self);
            }
            (_, false) => {
                let advice = [
                    "models use grayscale images: add color = \"luma\" to [images]",
                    "models use grayscale images: add --color luma",
                ];
                let found = format!("none, but {} has colors", path.display());
                return Err(asked
                    .mismatch("images.color", "how to convert color", found, advice)
                    .into());
            }
            (_, true) => {}
        }
        account.assumes(
            "color is converted to luma by ITU-R 601: 0.299 red + 0.587 green + 0.114 blue",
        );
        let area = height * width;
        let pixels = match self.pixels {
            Pixels::Bytes(bytes) => {
                let gray = |image: &[u8]| {
                    Picture { channels, height, width, pixels: image.to_vec() }.to_gray().pixels
                };
                Pixels::Bytes(bytes.chunks(channels * area).flat_map(gray).collect())
            }
            Pixels::Units(units) => {
                let gray = |image: &[f32]| -> Vec<f32> {
                    (0..area)
                        .map(|pixel| {
                            0.299 * image[pixel]
                                + 0.587 * image[area + pixel]
                                + 0.114 * image[2 * area + pixel]
                        })
                        .collect()
                };
                Pixels::Units(units.chunks(channels * area).flat_map(gray).collect())
            }
        };
        Ok(Self { shape: [count, 1, height, width], pixels })
    }

    /// Averages down to a size, if requested.
    pub(super) fn into_size(
        self,
        asked: Asked,
        path: &Path,
        size: Option<[usize; 2]>,
        account: &mut Account,
    ) -> Result<Self> {
        let [count, _, height, width] = self.shape;
        let Some([new_height, new_width]) = size.filter(|size| *size != [height, width]) else {
            return Ok(self);
        };
        if new_height == 0 || new_width == 0 || new_height > height || new_width > width {
            let expected = format!("at most {height} x {width}, the size of {}", path.display());
            let advice = ["images can only be made smaller"; 2];
            return Err(asked
                .mismatch("images.size", expected, format!("{new_height} x {new_width}"), advice)
                .into());
        }
        let (old, new) = ([height, width], [new_height, new_width]);
        let area = height * width;
        let pixels = match self.pixels {
            Pixels::Bytes(bytes) => {
                account.assumes(
                    "images remain 8-bit: averages over columns, then over rows, are rounded to the nearest of 256 gray levels",
                );
                Pixels::Bytes(
                    bytes
                        .par_chunks(area)
                        .flat_map_iter(|image| area_average_bytes(image, old, new))
                        .collect(),
                )
            }
            Pixels::Units(units) => Pixels::Units(
                units
                    .par_chunks(area)
                    .flat_map_iter(|image| area_average(image, old, new))
                    .collect(),
            ),
        };
        let (rows, columns) = (height as f64 / new_height as f64, width as f64 / new_width as f64);
        account.took(format!("images at {new_height} x {new_width}: each pixel is the mean of {rows:.4} x {columns:.4}"));
        if (rows / columns - 1.0).abs() > 0.01 {
            account.assumes(format!(
                "images may be stretched: {rows:.4} rows are averaged, but {columns:.4} columns"
            ));
        }
        Ok(Self { shape: [count, 1, new_height, new_width], pixels })
    }

    /// The distinct grayscale images; their source numbers them from `first_image`.
    pub(super) fn distinct(self, first_image: usize, account: &mut Account) -> Result<Images> {
        let [count, _, height, width] = self.shape;
        let area = height * width;
        let units = match self.pixels {
            Pixels::Bytes(bytes) => bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect(),
            // Rounding can move means slightly out of the range.
            Pixels::Units(units) => {
                units.into_iter().map(|unit| unit.clamp(0.0, 1.0)).collect::<Vec<f32>>()
            }
        };
        let ids: Vec<ImageId> =
            units.par_chunks(area).map(|image| ImageId::of(height, width, image)).collect();
        let (mut known, mut labels, mut pixels) = (HashMap::new(), vec![], vec![]);
        let mut of_image = Vec::with_capacity(count);
        for (index, id) in ids.iter().enumerate() {
            let next = known.len();
            let place = *known.entry(*id).or_insert(next);
            if place == next {
                labels.push((index + first_image) as i64);
                pixels.extend_from_slice(&units[index * area..(index + 1) * area]);
            }
            of_image.push(place);
        }
        if known.len() < count {
            let (few, more) = (known.len(), count - known.len());
            account.assumes(format!(
                "{more} of {count} images have the same pixels as another: {few} distinct images, whose trials count as repeats"
            ));
        }
        Ok(Images { stimuli: StimulusSet::new(height, width, pixels)?, labels, distinct: of_image })
    }
}
