//! A core's output at several scales, and the geometry of its pixels on the image.

use brainprior_kernels::FeatureMap;
use candle_core::{Result, Tensor};

use crate::config::CoreConfig;

/// Core output at several scales: each level has half the size of the previous one.
pub(crate) struct Pyramid {
    pub(crate) levels: Vec<Level>,
}

/// One scale of a [`Pyramid`].
pub(crate) struct Level {
    /// `[batch, channels, height, width]`
    pub(crate) features: FeatureMap,
    /// For x and y, scale and offset from a position on the image to one on this level, both in
    /// [-1, 1] between outer edges (align_corners = false).
    pub(crate) from_image: [[f64; 2]; 2],
}

impl Pyramid {
    /// Averages `features` of images with `[height, width]` pixels over blocks of 2, 4, ... pixels.
    pub(crate) fn new(
        features: FeatureMap,
        levels: usize,
        core: &CoreConfig,
        image: [usize; 2],
    ) -> Result<Self> {
        let mut pyramid: Vec<Level> = Vec::with_capacity(levels);
        let mut features = features;
        for l in 0..levels {
            if l > 0 {
                features = features.area_pool(2)?;
            }
            let (_, _, height, width) = features.values()?.dims4()?;
            let axis = |pixels: usize, cells: usize| from_image(core, pixels, cells << l);
            pyramid.push(Level {
                from_image: [axis(image[1], width), axis(image[0], height)],
                features: features.clone(),
            });
        }
        Ok(Self { levels: pyramid })
    }

    /// The pyramid whose b-th image is image `rows[b]` of this one.
    pub(crate) fn rows(self, rows: &[u32]) -> Result<Pyramid> {
        if rows.iter().enumerate().all(|(b, &row)| b == row as usize) {
            return Ok(self);
        }
        let index = Tensor::new(rows, self.levels[0].features.values()?.device())?;
        let select = |level: Level| {
            let features = FeatureMap::new(&level.features.tensor()?.index_select(&index, 0)?)?;
            Ok(Level { features, ..level })
        };
        Ok(Pyramid { levels: self.levels.into_iter().map(select).collect::<Result<_>>()? })
    }
}

/// Scale and offset of one axis of `pixels` pixels, onto a level whose blocks cover `cells` pixels
/// of the finest features.
///
/// Feature i of the finest level is centered on pixel i stride - padding + (side - 1) / 2. If the
/// last block of a coarser level is partial, it extends beyond the border.
fn from_image(core: &CoreConfig, pixels: usize, cells: usize) -> [f64; 2] {
    let (pixels, cells, stride) = (pixels as f64, cells as f64, core.stride as f64);
    let first = (core.kernels[0] as f64 - 1.0) / 2.0 - core.padding() as f64;
    let center = (pixels / 2.0 - 0.5 - first) / stride + 0.5;
    [pixels / (cells * stride), 2.0 * center / cells - 1.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_on_the_image_meet_the_kernels_centers() {
        for (stride, pad_input) in [(1, true), (2, true), (1, false), (2, false), (3, true)] {
            let core = CoreConfig {
                kernels: vec![5],
                channels: Some(vec![1]),
                stride,
                pad_input,
                ..CoreConfig::default()
            };
            let (pixels, padding) = (30usize, core.padding());
            let cells = (pixels + 2 * padding - 5) / stride + 1;
            let [scale, offset] = from_image(&core, pixels, cells);
            for cell in 0..cells {
                // The center of the kernel's window, then of that pixel between the edges.
                let pixel = (cell * stride + 2) as f64 - padding as f64;
                let on_image = (pixel + 0.5) / pixels as f64 * 2.0 - 1.0;
                let expected = (cell as f64 + 0.5) / cells as f64 * 2.0 - 1.0;
                assert!(
                    (scale * on_image + offset - expected).abs() < 1e-12,
                    "stride {stride}, cell {cell}"
                );
            }
        }
    }
}
