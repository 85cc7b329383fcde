//! The losses in f64, on one thread: they are one value per image or pair.

use super::CLAMP;
use crate::arguments::{contiguous, with_elements};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

pub(super) struct ArctanhSquared {
    pub(super) target: Vec<f32>,
    pub(super) scale: f64,
}

/// Clamps in f64, where 1 - [`CLAMP`] is not rounded by half a percent of its distance to 1.
fn arctanh(value: f32) -> f64 {
    f64::from(value).clamp(CLAMP - 1.0, 1.0 - CLAMP).atanh()
}

impl CustomOp1 for ArctanhSquared {
    fn name(&self) -> &'static str {
        "arctanh_squared_loss"
    }

    fn cpu_fwd(&self, similarity: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let pairs = contiguous(similarity, layout)?.iter().zip(&self.target);
        let sum: f64 = pairs.map(|(s, t)| (arctanh(*s) - arctanh(*t)).powi(2)).sum();
        Ok((
            CpuStorage::F32(vec![(self.scale * sum / self.target.len() as f64) as f32]),
            Shape::from(()),
        ))
    }

    fn bwd(&self, similarity: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let factor =
            f64::from(gradient.to_vec0::<f32>()?) * self.scale * 2.0 / self.target.len() as f64;
        with_elements(similarity, |values| {
            let one = |(s, t): (&f32, &f32)| match f64::from(s.abs()) < 1.0 - CLAMP {
                true => {
                    (factor * (arctanh(*s) - arctanh(*t)) / (1.0 - f64::from(*s).powi(2))) as f32
                }
                false => 0.0,
            };
            let input: Vec<f32> = values.iter().zip(&self.target).map(one).collect();
            Tensor::from_vec(input, similarity.dims(), &Device::Cpu).map(Some)
        })
    }
}

pub(super) struct CrossEntropy {
    pub(super) labels: Vec<u32>,
    pub(super) classes: usize,
}

/// log-sum-exp without overflow.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    largest + logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum::<f64>().ln()
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let rows = contiguous(logits, layout)?.chunks_exact(self.classes).zip(&self.labels);
        let sum: f64 =
            rows.map(|(row, label)| log_sum_exp(row) - f64::from(row[*label as usize])).sum();
        Ok((CpuStorage::F32(vec![(sum / self.labels.len() as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let factor = f64::from(gradient.to_vec0::<f32>()?) / self.labels.len() as f64;
        with_elements(logits, |values| {
            let mut input = Vec::with_capacity(values.len());
            for (row, label) in values.chunks_exact(self.classes).zip(&self.labels) {
                let norm = log_sum_exp(row);
                let probability = |logit: &f32| (f64::from(*logit) - norm).exp();
                let is_label = |class: usize| f64::from(u8::from(class == *label as usize));
                input.extend(row.iter().enumerate().map(|(class, logit)| {
                    (factor * (probability(logit) - is_label(class))) as f32
                }));
            }
            Tensor::from_vec(input, logits.dims(), &Device::Cpu).map(Some)
        })
    }
}
