//! Models with known answers. They sum value by value, so that an image gives the same bits in any
//! batch.

use brainprior_robustness::{Classifier, LabeledBatch, Norm};
use candle_core::{Device, Result, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// logit_k = scale * (sum_p w_kp x_p + bend * v_kp x_p^2 + b_k), where v is w reversed.
pub(crate) struct Planes {
    pub(crate) weights: Vec<Vec<f32>>,
    pub(crate) bias: Vec<f32>,
    pub(crate) bend: f64,
    pub(crate) scale: f64,
}

impl Planes {
    pub(crate) fn random(classes: usize, area: usize, bend: f64, seed: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mut row =
            || (0..area).map(|_| generator.random_range(-1.0f32..1.0)).collect::<Vec<f32>>();
        let weights: Vec<Vec<f32>> = (0..classes).map(|_| row()).collect();
        // The classes meet at the gray center of the image space.
        let bias = weights.iter().map(|row| -0.5 * row.iter().sum::<f32>()).collect();
        Self { weights, bias, bend, scale: 1.0 }
    }

    pub(crate) fn value(&self, image: &[f32], class: usize) -> f64 {
        let weights = &self.weights[class];
        let terms = image.iter().zip(weights).zip(weights.iter().rev()).map(|((x, w), v)| {
            let x = f64::from(*x);
            x * f64::from(*w) + self.bend * x * x * f64::from(*v)
        });
        terms.sum::<f64>() + f64::from(self.bias[class])
    }

    pub(crate) fn class(&self, image: &[f32]) -> usize {
        (0..self.bias.len())
            .max_by(|a, b| self.value(image, *a).total_cmp(&self.value(image, *b)))
            .unwrap()
    }

    /// Gray images with little structure, far from the bounds, with their true classes.
    #[allow(dead_code, reason = "not every test file makes a labeled batch")]
    pub(crate) fn labeled_batch(&self, images: usize, contrast: f32, seed: u64) -> LabeledBatch {
        let area = self.weights[0].len();
        let shape = if area.is_multiple_of(4) { (area / 4, 4) } else { (1, area) };
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let pixels: Vec<f32> = (0..images * area)
            .map(|_| 0.5 + contrast * generator.random_range(-1.0f32..1.0))
            .collect();
        let labels = pixels.chunks(area).map(|image| self.class(image)).collect();
        LabeledBatch::new(1, shape.0, shape.1, pixels, labels).unwrap()
    }
}

/// Distance from an image to the nearest plane between its class and another, by the dual norm of
/// the logit difference.
#[allow(dead_code, reason = "not every test file needs the truth")]
pub(crate) fn closed_form(model: &Planes, image: &[f32], label: usize, norm: Norm) -> f64 {
    (0..model.bias.len())
        .filter(|other| *other != label)
        .map(|other| to_plane(model, image, label, other, norm))
        .fold(f64::INFINITY, f64::min)
}

/// Distance from an image to the plane where the logits of `other` and `label` are equal: in Linf
/// and L2 without the bounds of [0, 1]; in L1 and L0, where the bounds always bind, values move to
/// the end of their range, the most effective ones first.
#[allow(dead_code, reason = "not every test file needs the truth")]
pub(crate) fn to_plane(
    model: &Planes,
    image: &[f32],
    label: usize,
    other: usize,
    norm: Norm,
) -> f64 {
    let normal: Vec<f64> = model.weights[other]
        .iter()
        .zip(&model.weights[label])
        .map(|(a, b)| f64::from(*a) - f64::from(*b))
        .collect();
    let mut lead = model.value(image, label) - model.value(image, other);
    match norm {
        Norm::Linf => return lead / normal.iter().map(|value| value.abs()).sum::<f64>(),
        Norm::L2 => return lead / normal.iter().map(|value| value * value).sum::<f64>().sqrt(),
        Norm::L1 | Norm::L0 => {}
    }
    let room = |index: usize| {
        if normal[index] > 0.0 { 1.0 - f64::from(image[index]) } else { f64::from(image[index]) }
    };
    let worth =
        |index: usize| normal[index].abs() * if norm == Norm::L0 { room(index) } else { 1.0 };
    let mut order: Vec<usize> = (0..normal.len()).collect();
    order.sort_by(|a, b| worth(*b).total_cmp(&worth(*a)));
    let mut distance = 0.0;
    for index in order {
        let moved = room(index).min(lead / normal[index].abs());
        distance += if norm == Norm::L0 { 1.0 } else { moved };
        lead -= moved * normal[index].abs();
        if lead <= 1e-12 {
            return distance;
        }
    }
    f64::INFINITY
}

impl Classifier for Planes {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let x = images.flatten_from(1)?;
        let area = x.dim(1)?;
        let curved = (x.sqr()? * self.bend)?;
        let columns = (self.weights.iter().zip(&self.bias))
            .map(|(weights, bias)| {
                let w = Tensor::from_slice(weights, (1, area), &Device::Cpu)?;
                let bent = curved.broadcast_mul(&w.flip(&[1])?)?;
                (((x.broadcast_mul(&w)? + bent)?.sum_keepdim(1)? + f64::from(*bias))? * self.scale)?
                    .contiguous()
            })
            .collect::<Result<Vec<_>>>()?;
        Tensor::cat(&columns, 1)
    }
}
