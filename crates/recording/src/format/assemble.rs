//! From the rows of a file to a scan: distinct images by content, tiers by name.

use super::annotations::{Annotations, Identifiers};
use crate::{Error, Result, Scan, ScanParts, Tier};
use brainprior_images::StimulusSet;
use ndarray::Array2;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Pixels of all rows, as a file holds them.
pub(crate) enum Pixels {
    /// 0 to 255.
    Bytes(Vec<u8>),
    /// 0 to 255.
    Integers(Vec<i64>),
    /// 0 to 255, or 0 to 1 where none is above 1.
    Floats(Vec<f32>),
}

/// One row for each trial, as both formats hold them.
pub(crate) struct Rows {
    pub height: usize,
    pub width: usize,
    pub pixels: Pixels,
    pub tiers: Vec<String>,
    pub responses: Array2<f32>,
    pub behavior: Option<Array2<f32>>,
    pub pupil_center: Option<Array2<f32>>,
    pub annotations: Annotations,
}

impl Rows {
    /// The scan of these rows. Its name is that of the file or folder, without the ending.
    pub(crate) fn assemble(self, path: &Path) -> Result<Scan> {
        self.checked(path).map_err(|error| error.inside(path))
    }

    fn checked(self, path: &Path) -> Result<Scan> {
        let area = self.height * self.width;
        let pixels = self.pixels.unit(area)?;
        let tier = |(row, name): (usize, &String)| Tier::from_name(name).ok_or_else(|| Error::Tier { row, found: name.clone() });
        let tiers = self.tiers.iter().enumerate().map(tier).collect::<Result<_>>()?;
        let (first_rows, trial_image) = distinct(&pixels, area);
        let Annotations { identifiers, neurons, trial_idx, origin } = self.annotations;
        identifiers.as_ref().map_or(Ok(()), |identifiers| identifiers.agree(&trial_image))?;
        let shown = first_rows.iter().flat_map(|row| &pixels[row * area..(row + 1) * area]).copied().collect();
        let parts = ScanParts {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            stimuli: StimulusSet::new(self.height, self.width, shown)?,
            image_labels: identifiers.and_then(|identifiers| identifiers.labels(&first_rows)),
            trial_image,
            tiers,
            responses: self.responses,
            behavior: self.behavior,
            pupil_center: self.pupil_center,
            neurons,
            trial_idx,
            origin,
        };
        Scan::new(parts)
    }
}

impl Pixels {
    /// In [0, 1]. Floating-point pixels are taken as 0 to 255 where any of them is above 1.
    fn unit(self, area: usize) -> Result<Vec<f32>> {
        let (values, whole): (Vec<f32>, bool) = match self {
            Self::Bytes(bytes) => return Ok(bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect()),
            Self::Integers(values) => (values.into_iter().map(|value| value as f32).collect(), true),
            Self::Floats(values) => (values, false),
        };
        if let Some(index) = values.iter().position(|value| !(0.0..=255.0).contains(value)) {
            return Err(Error::Pixel { row: index / area, pixel: index % area, found: values[index] });
        }
        let scale = if whole || values.iter().any(|value| *value > 1.0) { 255.0 } else { 1.0 };
        // Adding zero makes -0 into 0, so that equal pixels have equal bits.
        Ok(values.into_iter().map(|value| value / scale + 0.0).collect())
    }
}

/// The first row of each distinct image, and for each row which of them it shows.
fn distinct(pixels: &[f32], area: usize) -> (Vec<usize>, Vec<usize>) {
    let bits: Vec<u32> = pixels.iter().map(|pixel| pixel.to_bits()).collect();
    let (mut first_rows, mut known) = (vec![], HashMap::new());
    let of_row = bits
        .chunks(area)
        .enumerate()
        .map(|(row, image)| {
            *known.entry(image).or_insert_with(|| {
                first_rows.push(row);
                first_rows.len() - 1
            })
        })
        .collect();
    (first_rows, of_row)
}

impl Identifiers {
    /// The number of each image, from its first row; `None` where they are no numbers, or the same for several classes.
    fn labels(&self, first_rows: &[usize]) -> Option<Vec<i64>> {
        let labels: Vec<i64> = first_rows.iter().map(|row| self.of_row[*row].0.parse().ok()).collect::<Option<_>>()?;
        (labels.iter().collect::<HashSet<_>>().len() == labels.len()).then_some(labels)
    }

    /// Rows of one identifier must show one image. One image under several identifiers is one image here.
    fn agree(&self, trial_image: &[usize]) -> Result<()> {
        if self.of_row.len() != trial_image.len() {
            return Err(Error::Size {
                what: "image identifiers",
                expected: format!("{} rows, as images", trial_image.len()),
                found: format!("{} rows", self.of_row.len()),
            });
        }
        let mut known: HashMap<&(String, String), usize> = HashMap::new();
        for (row, (identifier, image)) in self.of_row.iter().zip(trial_image).enumerate() {
            let first_row = *known.entry(identifier).or_insert(row);
            if trial_image[first_row] != *image {
                return Err(Error::Identifier {
                    dataset: self.dataset.clone(),
                    first_row,
                    second_row: row,
                    id: format!("{} {}", identifier.1, identifier.0).trim_start().to_owned(),
                });
            }
        }
        let images = trial_image.iter().max().map_or(0, |last| last + 1);
        if known.len() > images {
            tracing::warn!(
                identifiers = known.len(),
                images,
                "some images have several identifiers; taken as one each, by content"
            );
        }
        Ok(())
    }
}
