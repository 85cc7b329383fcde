//! Cosine similarity of the centred features of image pairs (paper, section 2.3).

use crate::Error;
use crate::arguments::{contiguous, has_shape, image_sizes, same_kind, with_elements};
use crate::channels::sum_by_pairs;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

const OP: &str = "pair_cosine";

/// Below this norm a feature vector counts as this long, as in PyTorch's `cosine_similarity`.
const SHORTEST: f64 = 1e-8;

/// Cosine of each pair, `[pairs]`. `features` `[2 pairs, channels, height, width]` holds the first images of all pairs, then
/// the second ones; `center` `[channels]` is subtracted at every pixel and has no gradient.
///
/// # Errors
/// An odd number of images, or ranks, sizes or kinds that do not fit (see [`Error`]).
pub fn pair_cosine(features: &Tensor, center: &Tensor) -> Result<Tensor> {
    same_kind(OP, &[("features", features), ("center", center)])?;
    let [images, channels, height, width] = image_sizes(OP, "features", features)?;
    has_shape(OP, "center", center, &[channels])?;
    if !images.is_multiple_of(2) {
        let (expected, found) = ("an even number of images, first ones and then second ones".into(), features.dims().to_vec());
        return Err(
            Error::Shape { op: OP, argument: "features", expected, found, remedy: "give both images of every pair" }.into()
        );
    }
    let center = with_elements(center, |center| Ok(center.to_vec()))?;
    features.contiguous()?.apply_op1(PairCosine { pairs: images / 2, area: height * width, center })
}

struct PairCosine {
    pairs: usize,
    area: usize,
    center: Vec<f32>,
}

/// Lengths of both vectors and their cosine.
struct Pair {
    first: f64,
    second: f64,
    cosine: f64,
}

impl PairCosine {
    fn length(&self) -> usize {
        self.center.len() * self.area
    }

    fn pair(&self, first: &[f32], second: &[f32]) -> Pair {
        let (mut a, mut b, mut ab) = (0.0, 0.0, 0.0);
        for ((center, first), second) in self.center.iter().zip(first.chunks_exact(self.area)).zip(second.chunks_exact(self.area))
        {
            a += sum_by_pairs(first, first, |x, _| (x - center) * (x - center));
            b += sum_by_pairs(second, second, |y, _| (y - center) * (y - center));
            ab += sum_by_pairs(first, second, |x, y| (x - center) * (y - center));
        }
        let (first, second) = (a.sqrt().max(SHORTEST), b.sqrt().max(SHORTEST));
        Pair { first, second, cosine: ab / (first * second) }
    }
}

impl CustomOp1 for PairCosine {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, features: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (first, second) = contiguous(features, layout)?.split_at(self.pairs * self.length());
        let pairs = first.par_chunks_exact(self.length()).zip(second.par_chunks_exact(self.length()));
        let cosines: Vec<f32> = pairs.map(|(first, second)| self.pair(first, second).cosine as f32).collect();
        Ok((CpuStorage::F32(cosines), Shape::from(self.pairs)))
    }

    fn bwd(&self, features: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_elements(features, |values| {
            with_elements(gradient, |gradient| {
                let (first, second) = values.split_at(self.pairs * self.length());
                let mut input = vec![0.0; values.len()];
                let (into_first, into_second) = input.split_at_mut(self.pairs * self.length());
                into_first
                    .par_chunks_exact_mut(self.length())
                    .zip(into_second.par_chunks_exact_mut(self.length()))
                    .zip(first.par_chunks_exact(self.length()).zip(second.par_chunks_exact(self.length())))
                    .zip(gradient.par_iter())
                    .for_each(|(((into_first, into_second), (first, second)), g)| {
                        let pair = self.pair(first, second);
                        let across = (f64::from(*g) / (pair.first * pair.second)) as f32;
                        let along_first = (f64::from(*g) * pair.cosine / (pair.first * pair.first)) as f32;
                        let along_second = (f64::from(*g) * pair.cosine / (pair.second * pair.second)) as f32;
                        for (index, (to, other)) in into_first.iter_mut().zip(into_second.iter_mut()).enumerate() {
                            let center = self.center[index / self.area];
                            let (x, y) = (first[index] - center, second[index] - center);
                            *to = across * y - along_first * x;
                            *other = across * x - along_second * y;
                        }
                    });
                Tensor::from_vec(input, features.dims(), &Device::Cpu).map(Some)
            })
        })
    }
}

#[cfg(test)]
mod tests;
