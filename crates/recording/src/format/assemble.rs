//! Assembles a scan from the rows of a file: distinct images by content, tiers by name.

use super::annotations::{Annotations, Identifiers};
use super::notes::Notes;
use crate::scan::name_of;
use crate::{Error, Result, Scan, ScanParts, Tier};
use brainprior_images::StimulusSet;
use ndarray::{Array2, Axis};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Pixels of all rows as stored in a file.
pub(crate) enum Pixels {
    /// 0 to 255, unless the file states another range.
    Bytes(Vec<u8>),
    /// 0 to 255, unless the file states another range.
    Integers(Vec<i64>),
    /// 0 to 255 or 0 to 1.
    Floats(Vec<f32>),
}

/// Pixels outside a stated range by at most this fraction of it are clipped, since resize filters
/// overshoot.
const OVERSHOOT: f32 = 0.1;

/// If the largest float pixel is between 1 and this, it is ambiguous whether white is 255.
const HALF_SCALE: f32 = 128.0;

/// One row per trial, as both formats store them.
pub(crate) struct Rows {
    pub height: usize,
    pub width: usize,
    pub pixels: Pixels,
    /// The pixel values of black and white that the file states, if it does.
    pub range: Option<Vec<f64>>,
    pub tiers: Vec<String>,
    pub responses: Array2<f32>,
    pub behavior: Option<Array2<f32>>,
    pub pupil_center: Option<Array2<f32>>,
    pub annotations: Annotations,
}

impl Rows {
    /// Assembles the scan. Its name is the file or folder name without the extension.
    pub(crate) fn assemble(self, path: &Path) -> Result<(Scan, Notes)> {
        self.checked(path).map_err(|error| error.inside(path))
    }

    fn checked(mut self, path: &Path) -> Result<(Scan, Notes)> {
        self.one_row_each()?;
        let is_left_out = |name: &String| Tier::LEFT_OUT.contains(&Tier::trimmed(name));
        let mut notes = Notes::default();
        for name in self.tiers.iter().filter(|name| is_left_out(name)) {
            *notes.left_out.entry(Tier::trimmed(name).to_owned()).or_default() += 1;
        }
        if notes.left_out.is_empty() {
            return self.scan(path, notes);
        }
        let kept: Vec<usize> =
            (0..self.tiers.len()).filter(|row| !is_left_out(&self.tiers[*row])).collect();
        self.keep(&kept);
        self.scan(path, notes).map_err(|error| error.in_rows(&kept))
    }

    fn scan(self, path: &Path, mut notes: Notes) -> Result<(Scan, Notes)> {
        let area = self.height * self.width;
        let pixels = self.pixels.unit(area, self.range.as_deref(), &mut notes)?;
        let tier = |(row, name): (usize, &String)| {
            Tier::from_name(name).ok_or_else(|| Error::Tier { row, found: name.clone() })
        };
        let tiers = self.tiers.iter().enumerate().map(tier).collect::<Result<_>>()?;
        let (first_rows, trial_image) = distinct_images(&pixels, area);
        let Annotations { identifiers, neurons, trial_idx, origin } = self.annotations;
        if let Some(identifiers) = &identifiers {
            notes.identifiers = identifiers.agree(&trial_image)?;
        }
        let shown = first_rows
            .iter()
            .flat_map(|row| &pixels[row * area..(row + 1) * area])
            .copied()
            .collect();
        let parts = ScanParts {
            name: name_of(path),
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
        for remark in notes.remarks() {
            tracing::warn!("{remark}");
        }
        Ok((Scan::new(parts)?, notes))
    }

    /// Checks that images have pixels and every array has one row per image.
    fn one_row_each(&self) -> Result<()> {
        if self.height.checked_mul(self.width).is_none_or(|area| area == 0) {
            let found = format!("{} x {}", self.height, self.width);
            return Err(Error::Size {
                what: "images",
                expected: "at least one row and one column of pixels".into(),
                found,
            });
        }
        let trials = match &self.pixels {
            Pixels::Bytes(values) => values.len(),
            Pixels::Integers(values) => values.len(),
            Pixels::Floats(values) => values.len(),
        } / (self.height * self.width);
        let expected = || format!("{trials} rows, like images");
        let size = |what, expected, found: usize| {
            Err(Error::Size { what, expected, found: format!("{found} rows") })
        };
        if self.tiers.len() != trials {
            return size("tiers", expected(), self.tiers.len());
        }
        let (rows, columns) = self.responses.dim();
        if rows != trials && columns == trials {
            let expected = format!("{trials} rows, like images and tiers");
            let found =
                format!("{rows} rows of {columns}: neurons x trials; store them trials x neurons");
            return Err(Error::Size { what: "responses", expected, found });
        }
        if rows != trials {
            return size("responses", expected(), rows);
        }
        for (what, matrix) in [("behavior", &self.behavior), ("pupil_center", &self.pupil_center)] {
            if let Some(found) = matrix.as_ref().map(Array2::nrows).filter(|found| *found != trials)
            {
                return size(what, expected(), found);
            }
        }
        let Annotations { identifiers, trial_idx, .. } = &self.annotations;
        for (what, found) in [
            ("image identifiers", identifiers.as_ref().map(|identifiers| identifiers.of_row.len())),
            ("trial_idx", trial_idx.as_ref().map(Vec::len)),
        ] {
            if let Some(found) = found.filter(|found| *found != trials) {
                return size(what, expected(), found);
            }
        }
        Ok(())
    }

    fn keep(&mut self, rows: &[usize]) {
        fn of<T: Copy>(values: &[T], area: usize, rows: &[usize]) -> Vec<T> {
            rows.iter().flat_map(|row| &values[row * area..(row + 1) * area]).copied().collect()
        }
        let area = self.height * self.width;
        match &mut self.pixels {
            Pixels::Bytes(values) => *values = of(values, area, rows),
            Pixels::Integers(values) => *values = of(values, area, rows),
            Pixels::Floats(values) => *values = of(values, area, rows),
        }
        self.tiers = rows.iter().map(|row| self.tiers[*row].clone()).collect();
        for matrix in
            [Some(&mut self.responses), self.behavior.as_mut(), self.pupil_center.as_mut()]
                .into_iter()
                .flatten()
        {
            *matrix = matrix.select(Axis(0), rows);
        }
        if let Some(identifiers) = &mut self.annotations.identifiers {
            identifiers.of_row = rows.iter().map(|row| identifiers.of_row[*row].clone()).collect();
        }
        if let Some(order) = &mut self.annotations.trial_idx {
            *order = of(order, 1, rows);
        }
    }
}

impl Pixels {
    /// Scales pixels to [0, 1]: divides them by the stated range, or by 255; floats stay unchanged
    /// if none is above 1. An ambiguous range is an error.
    fn unit(self, area: usize, stated: Option<&[f64]>, notes: &mut Notes) -> Result<Vec<f32>> {
        let full = match stated {
            None => None,
            Some([0.0, full]) if full.is_finite() && *full > 0.0 => Some(*full as f32),
            Some(other) => {
                let found = format!("{other:?}");
                return Err(Error::Size {
                    what: "range of images",
                    expected: "0 and the value of white".into(),
                    found,
                });
            }
        };
        let (values, whole): (Vec<f32>, bool) = match self {
            Self::Bytes(bytes) => {
                if full.is_none() && bytes.iter().max() != Some(&1) {
                    return Ok(bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect());
                }
                (bytes.into_iter().map(f32::from).collect(), true)
            }
            Self::Integers(values) => {
                (values.into_iter().map(|value| value as f32).collect(), true)
            }
            Self::Floats(values) => (values, false),
        };
        let pixel = |index: usize, white: f32| Error::Pixel {
            row: index / area,
            pixel: index % area,
            found: values[index],
            white,
        };
        let scale = match full {
            Some(full) => {
                let near = -OVERSHOOT * full..=(1.0 + OVERSHOOT) * full;
                if let Some(index) = values.iter().position(|value| !near.contains(value)) {
                    return Err(pixel(index, full));
                }
                notes.clipped =
                    values.iter().filter(|value| !(0.0..=full).contains(*value)).count();
                full
            }
            None => {
                if let Some(index) = values.iter().position(|value| !(0.0..=255.0).contains(value))
                {
                    return Err(pixel(index, 255.0));
                }
                let largest = values.iter().copied().fold(0.0, f32::max);
                match largest {
                    _ if whole && largest != 1.0 => 255.0,
                    _ if whole || largest > 1.0 && largest < HALF_SCALE => {
                        return Err(Error::PixelRange { found: largest });
                    }
                    _ if largest > 1.0 => 255.0,
                    _ => 1.0,
                }
            }
        };
        (notes.white, notes.stated) = (scale, full.is_some());
        // Adding zero turns -0 into 0, so that equal pixels have equal bits.
        Ok(values.into_iter().map(|value| value.clamp(0.0, scale) / scale + 0.0).collect())
    }
}

/// The first row of each distinct image, and the image index of each row. `pixels` are rows of
/// `area` values each.
///
/// # Panics
/// Panics if `area` is 0.
pub fn distinct_images(pixels: &[f32], area: usize) -> (Vec<usize>, Vec<usize>) {
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
    /// The number of each image, from its first row; `None` if identifiers are not numbers or
    /// several classes share one.
    fn labels(&self, first_rows: &[usize]) -> Option<Vec<i64>> {
        let labels: Vec<i64> =
            first_rows.iter().map(|row| self.of_row[*row].0.parse().ok()).collect::<Option<_>>()?;
        (labels.iter().collect::<HashSet<_>>().len() == labels.len()).then_some(labels)
    }

    /// Checks that rows with the same identifier show the same image. An image with several
    /// identifiers counts once; then the numbers of identifiers and images are returned.
    fn agree(&self, trial_image: &[usize]) -> Result<Option<(usize, usize)>> {
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
        Ok((known.len() > images).then_some((known.len(), images)))
    }
}
