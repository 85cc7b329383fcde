//! Attacks a model that is not a candle model and has only a forward pass and a gradient of its
//! own.
//!
//! ```sh
//! cargo run --release -p brainprior-robustness --example own_model
//! ```
#![allow(clippy::print_stdout)]

use brainprior_robustness::{
    Classifier, LabeledBatch, MinimalPerturbations, Norm, Search, Settings, correct, ensemble,
    median,
};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Two classes of 8 x 8 images: which half, left or right, has the larger sum of tanh.
#[derive(Clone)]
struct Halves;

impl Halves {
    fn forward(&self, image: &[f32]) -> [f32; 2] {
        let half = |right: bool| {
            (0..64).filter(|at| (at % 8 >= 4) == right).map(|at| (3.0 * image[at]).tanh()).sum()
        };
        [half(false), half(true)]
    }

    /// Gradient of the sum of both logits weighted by their factors.
    fn gradient(&self, image: &[f32], factors: &[f32]) -> Vec<f32> {
        let slope = |at: usize| 3.0 * (1.0 - (3.0 * image[at]).tanh().powi(2));
        (0..64).map(|at| factors[usize::from(at % 8 >= 4)] * slope(at)).collect()
    }
}

/// The forward and backward passes that candle's autograd needs.
impl CustomOp1 for Halves {
    fn name(&self) -> &'static str {
        "halves"
    }

    fn cpu_fwd(&self, images: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (start, end) = layout.contiguous_offsets().expect("images are contiguous");
        let images = &images.as_slice::<f32>()?[start..end];
        let logits: Vec<f32> =
            images.chunks_exact(64).flat_map(|image| self.forward(image)).collect();
        Ok((CpuStorage::F32(logits), (images.len() / 64, 2).into()))
    }

    fn bwd(&self, images: &Tensor, _logits: &Tensor, factors: &Tensor) -> Result<Option<Tensor>> {
        let (values, factors) =
            (images.flatten_all()?.to_vec1::<f32>()?, factors.flatten_all()?.to_vec1::<f32>()?);
        let each = values.chunks_exact(64).zip(factors.chunks_exact(2));
        let gradients: Vec<f32> =
            each.flat_map(|(image, factors)| self.gradient(image, factors)).collect();
        Tensor::from_vec(gradients, images.shape(), images.device()).map(Some)
    }
}

impl Classifier for Halves {
    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        images.apply_op1(self.clone())
    }
}

fn main() -> brainprior_robustness::Result<()> {
    // 20 images whose bright halves differ in strength.
    let pixels = (0..20 * 64)
        .map(|at| 0.4 + if at % 8 >= 4 { 0.005 * (at / 64) as f32 } else { 0.02 })
        .collect();
    let labeled =
        LabeledBatch::new(1, 8, 8, pixels, (0..20).map(|image| usize::from(image > 4)).collect())?;
    let settings = Settings { seed: 7, batch: 20 };
    println!(
        "{} of 20 correct",
        correct(&Halves, &labeled, settings)?.iter().filter(|right| **right).count()
    );
    for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
        let search = Search { largest: norm.range(64), tolerance: 0.01 };
        let mut minimal = MinimalPerturbations::new(&Halves, &labeled, norm, settings)?;
        for attack in ensemble(norm, 400) {
            minimal.approach(&Halves, attack.as_ref(), &labeled, search, settings)?;
        }
        println!(
            "{norm:?}: median {:?}",
            median(&minimal.perturbations(&labeled, search), 0, 0)?.value
        );
    }
    Ok(())
}
