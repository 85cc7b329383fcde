//! Computes the matrix on a candle device: the same vectors and tiles, multiplied on the device.
//!
//! Without a GPU this runs on candle's CPU device, where it is tested; there,
//! [`Population::matrix`] is faster.

use crate::matrix::{pairs, rows_mut};
use crate::{Error, Population, Result, SimilarityMatrix};
use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;
use std::sync::mpsc;

/// Images whose vectors are sent to the device together.
const SENT: usize = 4096;

/// Rows per band. A band extends from the diagonal of its first row to the right, so the product
/// does little more than half the work of the full one.
const BAND: usize = 1024;

/// How many bands the device may be ahead of the host.
const AHEAD: usize = 2;

/// Options for the multiplication on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Whether factors may be rounded to 11 bits (TF32), which NVIDIA's tensor cores multiply
    /// faster. The error of similarities is then up to about 0.001. Ignored on the CPU.
    pub tf32: bool,
}

impl Population<'_> {
    /// The whole matrix, computed on `device`. Vectors are also weighted, centered and normalized
    /// there; each mean is sent as two floats, so that centered responses are as exact as on the
    /// host. While the device multiplies one band, the host stores the previous one. Repeated runs
    /// on the same device give the same bytes.
    ///
    /// # Errors
    /// Returns an error if a centered vector is zero, if the vectors or a band do not fit on the
    /// device, or if a source fails.
    pub fn matrix_on(&self, device: &Device, options: DeviceOptions) -> Result<SimilarityMatrix> {
        let _tf32 = Tf32::set(options.tf32);
        let images = self.len();
        let failed = |source| Error::Device {
            images,
            dimensions: self.dimensions(),
            source: Box::new(source),
        };
        let units = self.units_on(device)?;
        let counts = self.counts_on(device).map_err(failed)?;
        let mut packed = vec![0.0f32; pairs(images)];
        let mut rest = rows_mut(images, &mut packed).into_iter();
        std::thread::scope(|scope| {
            let (send, receive) = mpsc::sync_channel::<(usize, Tensor)>(AHEAD);
            // The device processes its queue in order; this thread only submits work.
            let multiply = scope.spawn(move || -> candle_core::Result<()> {
                for first in (0..images).step_by(BAND) {
                    let rows = units.narrow(0, first, BAND.min(images - first))?;
                    let columns = units.narrow(0, first, images - first)?;
                    let sums = rows.matmul(&columns.t()?)?;
                    let means = match &counts {
                        None => (sums * (1.0 / self.scans() as f64))?,
                        Some(present) => {
                            let of = |first: usize, count: usize| present.narrow(0, first, count);
                            let counts = of(first, BAND.min(images - first))?
                                .matmul(&of(first, images - first)?.t()?)?;
                            // Only the pair of an image with itself may have no scans.
                            (sums / counts.clamp(1.0, f64::INFINITY)?)?
                        }
                    };
                    if send.send((first, means.clamp(-1.0, 1.0)?)).is_err() {
                        break;
                    }
                }
                Ok(())
            });
            for (first, band) in receive {
                let columns = images - first;
                let values =
                    band.flatten_all().and_then(|band| band.to_vec1::<f32>()).map_err(failed)?;
                let rows: Vec<&mut [f32]> = rest.by_ref().take(BAND.min(columns)).collect();
                rows.into_par_iter().enumerate().for_each(|(row, to)| {
                    to.copy_from_slice(&values[row * columns + row + 1..(row + 1) * columns]);
                });
            }
            multiply.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(failed)
        })?;
        let mut steps = self.provenance();
        steps.push(format!(
            "multiplied on {}{}",
            kind(device),
            if options.tf32 { ", TF32" } else { "" }
        ));
        Ok(SimilarityMatrix::new(self.ids().to_vec(), packed, steps)?
            .with_scans(self.scans_of_images()))
    }

    /// Unit vectors of all images, `[images, dimensions]`.
    fn units_on(&self, device: &Device) -> Result<Tensor> {
        let failed = |source| Error::Device {
            images: self.len(),
            dimensions: self.dimensions(),
            source: Box::new(source),
        };
        let mut blocks = Vec::new();
        for first in (0..self.len()).step_by(SENT) {
            let images = first..(first + SENT).min(self.len());
            let mut parts = Vec::new();
            for scan in 0..self.scans() {
                let part = self.responses_of(scan, images.clone())?;
                let (rows, width) = (images.len(), part.means.len());
                let unit = || -> candle_core::Result<(Tensor, Vec<f32>, Vec<f32>)> {
                    let row = |values: Vec<f32>| Tensor::from_vec(values, (1, width), device);
                    let high: Vec<f32> = part.means.iter().map(|mean| *mean as f32).collect();
                    let low = part
                        .means
                        .iter()
                        .zip(&high)
                        .map(|(mean, high)| (mean - f64::from(*high)) as f32)
                        .collect();
                    let weights = row(part.weights.iter().map(|weight| *weight as f32).collect())?;
                    let present = Tensor::from_slice(&part.present, (rows, 1), device)?;
                    let raw = Tensor::from_vec(part.values, (rows, width), device)?;
                    let centered = raw.broadcast_sub(&row(high)?)?.broadcast_sub(&row(low)?)?;
                    let centered = centered.broadcast_mul(&weights)?.broadcast_mul(&present)?;
                    let norms = centered.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
                    let whole = raw
                        .broadcast_mul(&weights)?
                        .sqr()?
                        .sum(D::Minus1)?
                        .sqrt()?
                        .to_vec1::<f32>()?;
                    // A missing image keeps its zeros.
                    let divisors = (&norms + (present.neg()? + 1.0)?)?;
                    Ok((centered.broadcast_div(&divisors)?, norms.flatten_all()?.to_vec1()?, whole))
                };
                let (unit, norms, whole) = unit().map_err(failed)?;
                for (row, image) in images.clone().enumerate() {
                    if part.present[row] == 1.0 && norms[row] <= whole[row] * f32::EPSILON {
                        return Err(self.zero_vector(scan, image));
                    }
                }
                parts.push(unit);
            }
            blocks.push(if parts.len() == 1 {
                parts.remove(0)
            } else {
                Tensor::cat(&parts, 1).map_err(failed)?
            });
        }
        if blocks.len() == 1 {
            Ok(blocks.remove(0))
        } else {
            Tensor::cat(&blocks, 0).map_err(failed)
        }
    }

    /// Which scans have which image, `[images, scans]`; `None` if all scans have all images.
    fn counts_on(&self, device: &Device) -> candle_core::Result<Option<Tensor>> {
        if self.complete() {
            return Ok(None);
        }
        let has = |image: usize, scan: usize| f32::from(u8::from(self.has(image, scan)));
        let values: Vec<f32> = (0..self.len())
            .flat_map(|image| (0..self.scans()).map(move |scan| has(image, scan)))
            .collect();
        Tensor::from_vec(values, (self.len(), self.scans()), device)?.to_dtype(DType::F32).map(Some)
    }
}

fn kind(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "candle's CPU device",
        Device::Cuda(_) => "a CUDA device",
        Device::Metal(_) => "a Metal device",
    }
}

/// Sets candle's precision of products for this process, and restores it when dropped.
struct Tf32 {
    #[cfg(feature = "cuda")]
    before: bool,
}

impl Tf32 {
    fn set(allowed: bool) -> Self {
        #[cfg(feature = "cuda")]
        {
            let before = candle_core::cuda::gemm_reduced_precision_f32();
            candle_core::cuda::set_gemm_reduced_precision_f32(allowed);
            Self { before }
        }
        #[cfg(not(feature = "cuda"))]
        {
            let _ = allowed;
            Self {}
        }
    }
}

#[cfg(feature = "cuda")]
impl Drop for Tf32 {
    fn drop(&mut self) {
        candle_core::cuda::set_gemm_reduced_precision_f32(self.before);
    }
}
