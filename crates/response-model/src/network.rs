//! The model as variables and modules for candle's own tools.

use candle_core::{Module, Tensor};
use candle_nn::VarMap;

use crate::core::Core;
use crate::error::Result;
use crate::model::{ResponseModel, ScanModel};
use crate::readout::read;

/// Responses of one scan's neurons to images, at the mean behavior and mean gaze of training, like
/// [`ResponseModel::predict`]. Everything is differentiable, so images can be optimized.
///
/// Takes `[batch, 1, height, width]` in the scale of the training images and returns `[batch,
/// neurons]` in the scan's units.
#[derive(Debug)]
pub struct ScanNetwork<'a> {
    model: &'a ResponseModel,
    part: &'a ScanModel,
    /// Standard deviation of each neuron; 0 if it never varied in training.
    scale: Tensor,
    /// The constant response of each neuron that never varied.
    offset: Tensor,
}

impl ResponseModel {
    /// All variables by name. They share memory with the model: setting or loading them changes it.
    #[expect(clippy::missing_panics_doc, reason = "nobody else holds the new map")]
    pub fn variables(&self) -> VarMap {
        let map = VarMap::new();
        map.data().lock().expect("nobody else holds the new map").extend(self.variables.clone());
        map
    }

    /// The core shared by all scans.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The network of scan number `scan`.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`](crate::Error::NoSuchScan) if there is no scan of this number.
    pub fn network(&self, scan: usize) -> Result<ScanNetwork<'_>> {
        let part = self.part(scan)?;
        let by = &part.normalization;
        let of = |value: &dyn Fn(usize) -> f32| {
            Tensor::from_iter((0..by.varies.len()).map(value), self.device())
        };
        let scale = of(&|n| if by.varies[n] { by.response_std[n] } else { 0.0 })?;
        let offset =
            of(&|n| if by.varies[n] { 0.0 } else { by.response_mean[n] * by.response_std[n] })?;
        Ok(ScanNetwork { model: self, part, scale, offset })
    }
}

impl Module for ScanNetwork<'_> {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let image = &self.model.image;
        let images = ((images - f64::from(image.mean))? / f64::from(image.std))?;
        let pyramid = self.model.scales(self.model.core.eval(&images)?)?;
        let values = read(&[self.part.head.reading(None)], &pyramid)?.remove(0);
        self.part.head.rates(&values, None)?.broadcast_mul(&self.scale)?.broadcast_add(&self.offset)
    }
}
