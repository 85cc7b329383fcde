//! Cosine similarity of the centred features of image pairs (paper, section 2.3).

use crate::Error;
use crate::arguments::{contiguous, has_shape, image_sizes, stored_kind, with_elements};
use crate::channels::Sums;
use crate::simd::vectorized;
use crate::uninit::{Place, Uninit, written};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

const OP: &str = "pair_cosine";

/// Feature vectors below this norm have no direction.
const SHORTEST: f64 = 1e-8;

/// Cosine of each pair, `[pairs]`. `features` `[2 pairs, channels, height, width]` holds the first images of all pairs, then
/// the second ones; `center` `[channels]` is subtracted at every pixel and has no gradient. A pair in which one image's
/// centred features are zero (a norm below 1e-8) has cosine 0 and no gradient.
///
/// # Errors
/// An odd number of images, or ranks, sizes or kinds that do not fit (see [`Error`]).
pub fn pair_cosine(features: &Tensor, center: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if features.device().is_cuda() {
        check(features, center)?;
        return crate::cuda::pair_cosine::pair_cosine(features, center);
    }
    features.contiguous()?.apply_op1(PairCosine::new(features, center)?)
}

/// The sizes of the features.
fn check(features: &Tensor, center: &Tensor) -> std::result::Result<[usize; 4], Error> {
    stored_kind(OP, &[("features", features)], &[("center", center)])?;
    let sizes = image_sizes(OP, "features", features)?;
    has_shape(OP, "center", center, &[sizes[1]])?;
    if !sizes[0].is_multiple_of(2) {
        let (expected, found) = ("an even number of images, first ones and then second ones".into(), features.dims().to_vec());
        let remedy = "give both images of every pair";
        return Err(Error::Shape { op: OP, argument: "features", expected, found, remedy });
    }
    Ok(sizes)
}

pub(crate) struct PairCosine {
    pairs: usize,
    area: usize,
    center: Vec<f32>,
}

/// Lengths of both vectors and their cosine; none where a vector is zero.
struct Pair {
    first: f64,
    second: f64,
    cosine: f64,
}

impl PairCosine {
    /// See [`pair_cosine`].
    pub(crate) fn new(features: &Tensor, center: &Tensor) -> Result<Self> {
        let [images, _, height, width] = check(features, center)?;
        let center = with_elements(center, |center| Ok(center.to_vec()))?;
        Ok(Self { pairs: images / 2, area: height * width, center })
    }

    fn length(&self) -> usize {
        self.center.len() * self.area
    }

    fn pair(&self, first: &[f32], second: &[f32]) -> Option<Pair> {
        let mut sums = Sums::new();
        for ((center, first), second) in self.center.iter().zip(first.chunks_exact(self.area)).zip(second.chunks_exact(self.area))
        {
            add_products(&mut sums, first, second, *center);
        }
        let [a, b, ab] = sums.totals();
        let (first, second) = (a.sqrt(), b.sqrt());
        // False, too, for what is not a number, which then shows in the cosine.
        let zero = first < SHORTEST || second < SHORTEST;
        (!zero).then(|| Pair { first, second, cosine: ab / (first * second) })
    }

    /// Writes the gradient of every feature; `gradient` is that of the cosines.
    fn gradients(&self, values: &[f32], gradient: &[f32], input: &mut [Uninit]) {
        let (first, second) = values.split_at(self.pairs * self.length());
        let (into_first, into_second) = input.split_at_mut(self.pairs * self.length());
        into_first
            .par_chunks_exact_mut(self.length())
            .zip(into_second.par_chunks_exact_mut(self.length()))
            .zip(first.par_chunks_exact(self.length()).zip(second.par_chunks_exact(self.length())))
            .zip(gradient.par_iter())
            .for_each(|(((into_first, into_second), (first, second)), g)| {
                let Some(pair) = self.pair(first, second) else {
                    into_first.fill(Place::of(0.0));
                    into_second.fill(Place::of(0.0));
                    return;
                };
                let across = (f64::from(*g) / (pair.first * pair.second)) as f32;
                let along = [pair.first, pair.second].map(|norm| (f64::from(*g) * pair.cosine / (norm * norm)) as f32);
                for (channel, center) in self.center.iter().enumerate() {
                    let plane = channel * self.area..(channel + 1) * self.area;
                    let into = [&mut into_first[plane.clone()], &mut into_second[plane.clone()]];
                    channel_gradients(into, [&first[plane.clone()], &second[plane]], *center, across, along);
                }
            });
    }
}

vectorized! {
    fn add_products(sums: &mut Sums<3>, first: &[f32], second: &[f32], center: f32) {
        sums.add(first, second, second, |x, y, _| {
            let (x, y) = (x - center, y - center);
            [x * x, y * y, x * y]
        });
    }
}

vectorized! {
    /// Gradients of both images' features in one channel.
    fn channel_gradients(into: [&mut [Uninit]; 2], of: [&[f32]; 2], center: f32, across: f32, along: [f32; 2]) {
        let [into_first, into_second] = into;
        for (((to_first, to_second), x), y) in into_first.iter_mut().zip(into_second).zip(of[0]).zip(of[1]) {
            let (x, y) = (x - center, y - center);
            to_first.write(across * y - along[0] * x);
            to_second.write(across * x - along[1] * y);
        }
    }
}

impl CustomOp1 for PairCosine {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, features: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (first, second) = contiguous(features, layout)?.split_at(self.pairs * self.length());
        let pairs = first.par_chunks_exact(self.length()).zip(second.par_chunks_exact(self.length()));
        let cosine = |(first, second)| self.pair(first, second).map_or(0.0, |pair| pair.cosine as f32);
        let cosines: Vec<f32> = pairs.map(cosine).collect();
        Ok((CpuStorage::F32(cosines), Shape::from(self.pairs)))
    }

    fn bwd(&self, features: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_elements(features, |values| {
            with_elements(gradient, |gradient| {
                // SAFETY: both halves are shared out among the pairs, and every channel's part of them is written.
                let (input, ()) = unsafe { written(values.len(), |input| self.gradients(values, gradient, input)) };
                Tensor::from_vec(input, features.dims(), &Device::Cpu).map(Some)
            })
        })
    }
}

#[cfg(test)]
mod tests;
