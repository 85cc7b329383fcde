//! Groups of image features on a common grid, and their inner products.

use std::collections::HashMap;

use brainprior_images::ImageId;
use candle_core::Tensor;
use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{Error, Result};

/// Cells along each side of the grid on which all feature maps are averaged.
pub(super) const GRID: usize = 7;
/// Added to a feature before its logarithm, as a fraction of its channel's mean.
const FLOOR: f64 = 0.1;
/// Channels with a standard deviation below this fraction of the largest carry no information.
const LEAST_DEVIATION: f32 = 1e-3;
/// Features are clipped at this many training standard deviations, to prevent extrapolation beyond
/// the training images.
const MOST: f32 = 6.0;

/// How features are transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Unchanged.
    Linear,
    /// Logarithms, because contrast scales rates multiplicatively.
    Logarithm,
}

/// Fixed features of images: maps averaged on one grid, and the image itself.
#[derive(Debug, Clone)]
pub struct Features {
    rows: HashMap<ImageId, usize>,
    groups: Vec<Group>,
    /// The image, averaged on a grid that is twice as fine.
    image: Vec<f32>,
    image_weight: f32,
}

#[derive(Debug, Clone)]
struct Group {
    channels: usize,
    /// Weight of the group in the inner product, independent of its number of channels.
    weight: f32,
    scale: Scale,
    /// `[images, cells, channels]`
    values: Vec<f32>,
}

impl Features {
    pub(super) fn empty(ids: &[ImageId]) -> Self {
        let rows = ids.iter().enumerate().map(|(row, id)| (*id, row)).collect();
        Self { rows, groups: Vec::new(), image: Vec::new(), image_weight: 0.0 }
    }

    /// Number of images.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row of an image.
    pub(super) fn row(&self, id: ImageId) -> Option<usize> {
        self.rows.get(&id).copied()
    }

    /// Adds a batch of images to the image-wide group.
    pub(super) fn add_image_wide(&mut self, images: &Tensor, weight: f32) -> Result<()> {
        self.image_weight = weight;
        self.image.extend(pooled(images, 2 * GRID)?);
        Ok(())
    }

    /// Adds maps `[batch, channels, rows, columns]` of a batch of images, each at its own scale, to
    /// group number `group`, which exists or is the next one.
    pub(super) fn add(
        &mut self,
        group: usize,
        maps: &[Tensor],
        weight: f32,
        scale: Scale,
    ) -> Result<()> {
        let mut pooled_maps = Vec::with_capacity(maps.len());
        for map in maps {
            pooled_maps.push((map.dim(1)?, pooled(map, GRID)?));
        }
        let channels: usize = pooled_maps.iter().map(|(channels, _)| channels).sum();
        if self.groups.len() == group {
            self.groups.push(Group { channels, weight, scale, values: Vec::new() });
        }
        let expected = self.groups[group].channels;
        if channels != expected {
            return Err(Error::Channels { expected, found: channels });
        }
        let images = maps.first().map_or(Ok(0), |map| map.dim(0))?;
        for place in 0..images * GRID * GRID {
            for (channels, values) in &pooled_maps {
                self.groups[group]
                    .values
                    .extend_from_slice(&values[place * channels..(place + 1) * channels]);
            }
        }
        Ok(())
    }

    /// Number of groups of maps.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Checks that the groups from `first` have finite maps of every image.
    pub(super) fn check(&self, first: usize) -> Result<()> {
        for (layer, group) in self.groups[first..].iter().enumerate() {
            let found = group.values.len() / (GRID * GRID * group.channels).max(1);
            if found != self.len() {
                return Err(Error::Maps { layer, expected: self.len(), found });
            }
            if !group.values.iter().all(|value| value.is_finite()) {
                return Err(Error::NotFinite { layer });
            }
        }
        Ok(())
    }

    /// Computes what is added to each channel of each group before its logarithm, from the images
    /// of rows `training`.
    pub(super) fn floors(&self, training: &[usize]) -> Vec<Vec<f32>> {
        self.groups.iter().map(|group| group.floors(training)).collect()
    }

    /// For each grid cell, the features of all images there, `[images, features]`, z-scored over
    /// the rows `training` and weighted so that a group's inner products do not grow with its
    /// number of channels.
    pub(super) fn cell(&self, cell: usize, training: &[usize], floors: &[Vec<f32>]) -> Array2<f32> {
        let count = self.len();
        let width = self.groups.iter().map(|group| group.channels).sum();
        let mut all = Array2::zeros((count, width));
        let mut first = 0;
        for (group, floors) in self.groups.iter().zip(floors) {
            for row in 0..count {
                let at = (row * GRID * GRID + cell) * group.channels;
                let to = all.slice_mut(ndarray::s![row, first..first + group.channels]);
                for ((to, value), floor) in
                    to.into_iter().zip(&group.values[at..at + group.channels]).zip(floors)
                {
                    *to = match group.scale {
                        Scale::Linear => *value,
                        Scale::Logarithm => (value + floor).ln(),
                    };
                }
            }
            let mut own = all.slice_mut(ndarray::s![.., first..first + group.channels]);
            standardize(&mut own, training, (group.weight / group.channels as f32).sqrt());
            first += group.channels;
        }
        all
    }

    /// The images on the finer grid, z-scored over `training`.
    pub(super) fn image_wide(&self, training: &[usize]) -> Array2<f32> {
        let width = 4 * GRID * GRID;
        let view =
            ArrayView2::from_shape((self.len(), width), &self.image).expect("one row an image");
        let mut all = view.to_owned();
        standardize(&mut all.view_mut(), training, (self.image_weight / width as f32).sqrt());
        all
    }
}

impl Group {
    fn floors(&self, training: &[usize]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.channels];
        for row in training {
            let of_image = &self.values
                [row * GRID * GRID * self.channels..(row + 1) * GRID * GRID * self.channels];
            for cell in of_image.chunks_exact(self.channels) {
                sums.iter_mut().zip(cell).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
        let places = (training.len() * GRID * GRID) as f64;
        sums.iter().map(|sum| (FLOOR * sum / places).max(1e-6) as f32).collect()
    }
}

/// Subtracts from columns their means over `training`, divides by their standard deviations there,
/// and multiplies by `weight`.
fn standardize(values: &mut ndarray::ArrayViewMut2<f32>, training: &[usize], weight: f32) {
    let seen = values.select(Axis(0), training);
    let mean = seen.mean_axis(Axis(0)).expect("images that train");
    let deviation = seen.std_axis(Axis(0), 0.0);
    let largest = deviation.iter().copied().fold(0.0, f32::max);
    for mut row in values.rows_mut() {
        for ((value, mean), deviation) in row.iter_mut().zip(&mean).zip(&deviation) {
            let says = *deviation > LEAST_DEVIATION * largest;
            *value =
                if says { weight * ((*value - mean) / deviation).clamp(-MOST, MOST) } else { 0.0 };
        }
    }
}

/// Averages maps `[images, channels, rows, columns]` over the cells of a grid: `[images, cells,
/// channels]`. If a map is coarser than the grid, cells share its pixels.
fn pooled(maps: &Tensor, grid: usize) -> Result<Vec<f32>> {
    let (images, channels, rows, columns) = maps.dims4()?;
    let values: Vec<f32> = maps.flatten_all()?.to_vec1()?;
    let span =
        |cell: usize, pixels: usize| cell * pixels / grid..((cell + 1) * pixels).div_ceil(grid);
    let mut pooled = vec![0.0; images * grid * grid * channels];
    for (plane, map) in values.chunks_exact(rows * columns).enumerate() {
        let (image, channel) = (plane / channels, plane % channels);
        for cell in 0..grid * grid {
            let (down, across) = (span(cell / grid, rows), span(cell % grid, columns));
            let area = (down.len() * across.len()) as f32;
            let sum: f32 =
                down.map(|row| map[row * columns..][across.clone()].iter().sum::<f32>()).sum();
            pooled[(image * grid * grid + cell) * channels + channel] = sum / area;
        }
    }
    Ok(pooled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn a_network_gives_maps_of_every_image() {
        let ids: Vec<ImageId> = (0..5).map(ImageId::from_u64).collect();
        let maps = |images: usize| Tensor::ones((images, 2, 8, 8), DType::F32, &Device::Cpu);
        let with = |batches: &[usize]| {
            let batches = batches.iter().map(|images| -> Result<_> { Ok(vec![maps(*images)?]) });
            Features::empty(&ids).with_network(batches)
        };
        assert_eq!(with(&[3, 2]).unwrap().groups[0].values, [1.0; 5 * GRID * GRID * 2]);
        let error = with(&[3]).unwrap_err().to_string();
        assert!(error.contains("expected feature maps of 5 images, found 3"), "{error}");
        let refusal = |batches: Vec<Tensor>| {
            let batches = batches.into_iter().map(|maps| -> Result<_> { Ok(vec![maps]) });
            Features::empty(&ids).with_network(batches).unwrap_err().to_string()
        };
        let other = Tensor::ones((2, 3, 8, 8), DType::F32, &Device::Cpu).unwrap();
        let error = refusal(vec![maps(3).unwrap(), other]);
        assert!(error.contains("expected feature maps of 2 channels"), "{error}");
        let error = refusal(vec![(maps(5).unwrap() * f64::INFINITY).unwrap()]);
        assert!(error.contains("not finite"), "{error}");
    }

    #[test]
    fn maps_are_averaged_over_cells_whatever_their_size() {
        for (rows, columns) in [(7, 7), (14, 21), (3, 4)] {
            let map: Vec<f32> = (0..rows * columns)
                .map(|i| (i / columns) as f32 + 10.0 * (i % columns) as f32)
                .collect();
            let tensor = Tensor::from_vec(map, (1, 1, rows, columns), &Device::Cpu).unwrap();
            let found = pooled(&tensor, GRID).unwrap();
            let mean = |cell: usize, pixels: usize| {
                let covered: Vec<f32> = (0..pixels)
                    .filter(|p| (p + 1) * GRID > cell * pixels && p * GRID < (cell + 1) * pixels)
                    .map(|p| p as f32)
                    .collect();
                covered.iter().sum::<f32>() / covered.len() as f32
            };
            for (cell, found) in found.iter().enumerate() {
                let expected = mean(cell / GRID, rows) + 10.0 * mean(cell % GRID, columns);
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{rows} x {columns}, cell {cell}: {found}, expected {expected}"
                );
            }
        }
    }
}
