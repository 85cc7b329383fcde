//! Sums over both vectors of a pair at once; threads divide pairs.

use super::{OP, check};
use crate::arguments::{contiguous, with_elements};
use crate::channels::Sums;
use crate::simd::vectorized;
use crate::uninit::{Place, Uninit, written};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Feature vectors with a smaller norm have no direction.
const SHORTEST: f64 = 1e-8;

pub(crate) struct PairCosine {
    pairs: usize,
    area: usize,
    center: Vec<f32>,
}

/// Lengths of both vectors and their cosine; `None` if a vector is zero.
pub(super) struct Pair {
    first: f64,
    second: f64,
    cosine: f64,
}

impl Pair {
    /// From the sums of both vectors' squares and of their products.
    pub(super) fn new([a, b, ab]: [f64; 3]) -> Option<Self> {
        let (first, second) = (a.sqrt(), b.sqrt());
        // Also false for NaN, which then shows in the cosine.
        let zero = first < SHORTEST || second < SHORTEST;
        (!zero).then(|| Self { first, second, cosine: ab / (first * second) })
    }

    pub(super) fn cosine(&self) -> f32 {
        self.cosine as f32
    }

    /// Weights of the other vector, and of each vector itself, in a vector's gradient; `gradient`
    /// is that of the cosine.
    pub(super) fn shares(&self, gradient: f32) -> (f32, [f32; 2]) {
        let across = (f64::from(gradient) / (self.first * self.second)) as f32;
        let along = [self.first, self.second]
            .map(|norm| (f64::from(gradient) * self.cosine / (norm * norm)) as f32);
        (across, along)
    }
}

impl PairCosine {
    /// See [`crate::pair_cosine`].
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
        for ((center, first), second) in self
            .center
            .iter()
            .zip(first.chunks_exact(self.area))
            .zip(second.chunks_exact(self.area))
        {
            add_products(&mut sums, first, second, *center);
        }
        Pair::new(sums.totals())
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
                let (across, along) = pair.shares(*g);
                for (channel, center) in self.center.iter().enumerate() {
                    let plane = channel * self.area..(channel + 1) * self.area;
                    let into = [&mut into_first[plane.clone()], &mut into_second[plane.clone()]];
                    channel_gradients(
                        into,
                        [&first[plane.clone()], &second[plane]],
                        *center,
                        across,
                        along,
                    );
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
        let pairs =
            first.par_chunks_exact(self.length()).zip(second.par_chunks_exact(self.length()));
        let cosine = |(first, second)| self.pair(first, second).map_or(0.0, |pair| pair.cosine());
        let cosines: Vec<f32> = pairs.map(cosine).collect();
        Ok((CpuStorage::F32(cosines), Shape::from(self.pairs)))
    }

    fn bwd(&self, features: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_elements(features, |values| {
            with_elements(gradient, |gradient| {
                // SAFETY: the pairs cover both halves, and every channel's part of them is written.
                let (input, ()) = unsafe {
                    written(values.len(), |input| self.gradients(values, gradient, input))
                };
                Tensor::from_vec(input, features.dims(), &Device::Cpu).map(Some)
            })
        })
    }
}
