//! Pair cosines of images in chunks of bfloat16; sums are f32 over short stretches and f64 over
//! those.

use super::cpu::Pair;
use super::{OP, check_pairs};
use crate::arguments::{has_shape, same_kind, with_elements};
use crate::mixed::{CHUNK, Sizes, with_numbers};
use crate::simd::{narrow, vectorized, widen};
use crate::uninit::{Uninit16, written};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Values that are summed in f32 before they are added in f64.
const STRETCH: usize = 32;

pub(crate) struct MixedPairCosine {
    sizes: Sizes,
    /// By chunk; 0 for padding channels.
    center: Vec<[f32; CHUNK]>,
}

impl MixedPairCosine {
    /// See [`crate::pair_cosine`].
    pub(crate) fn new(sizes: Sizes, center: &Tensor) -> Result<Self> {
        check_pairs(&sizes.dims())?;
        same_kind(OP, &[("center", center)])?;
        has_shape(OP, "center", center, &[sizes.channels])?;
        let center = with_elements(center, |center| {
            let of = |chunk: usize| {
                std::array::from_fn(|lane| center.get(chunk * CHUNK + lane).copied().unwrap_or(0.0))
            };
            Ok((0..sizes.chunks()).map(of).collect())
        })?;
        Ok(Self { sizes, center })
    }

    fn pair(&self, first: &[u16], second: &[u16]) -> Option<Pair> {
        let mut totals = [0.0; 3];
        let planes =
            first.chunks_exact(self.sizes.plane()).zip(second.chunks_exact(self.sizes.plane()));
        for ((first, second), center) in planes.zip(&self.center) {
            add_products(&mut totals, first, second, center);
        }
        Pair::new(totals)
    }

    fn halves<'a>(&self, features: &'a [u16]) -> (&'a [u16], &'a [u16]) {
        features.split_at(features.len() / 2)
    }

    /// Writes the gradient of every feature; `gradient` is that of the cosines.
    fn gradients(&self, features: &[u16], gradient: &[f32], to: &mut [Uninit16]) {
        let (first, second) = self.halves(features);
        let (to_first, to_second) = to.split_at_mut(first.len());
        let image = self.sizes.image();
        to_first
            .par_chunks_exact_mut(image)
            .zip(to_second.par_chunks_exact_mut(image))
            .zip(first.par_chunks_exact(image).zip(second.par_chunks_exact(image)))
            .zip(gradient)
            .for_each(|(((to_first, to_second), (first, second)), gradient)| {
                let shares = self.pair(first, second).map(|pair| pair.shares(*gradient));
                // Without a direction there is no gradient.
                let (across, along) = shares.unwrap_or((0.0, [0.0; 2]));
                let plane = self.sizes.plane();
                let to = to_first.chunks_exact_mut(plane).zip(to_second.chunks_exact_mut(plane));
                let of = first.chunks_exact(plane).zip(second.chunks_exact(plane));
                for (((to_first, to_second), (first, second)), center) in
                    to.zip(of).zip(&self.center)
                {
                    chunk_gradients([to_first, to_second], [first, second], center, across, along);
                }
            });
    }
}

vectorized! {
    fn add_products(totals: &mut [f64; 3], first: &[u16], second: &[u16], center: &[f32; CHUNK]) {
        let (first, second) = (first.as_chunks::<CHUNK>().0, second.as_chunks::<CHUNK>().0);
        for (first, second) in first.chunks(STRETCH).zip(second.chunks(STRETCH)) {
            let mut sums = [[0.0f32; CHUNK]; 3];
            for (first, second) in first.iter().zip(second) {
                for lane in 0..CHUNK {
                    let (x, y) = (widen(first[lane]) - center[lane], widen(second[lane]) - center[lane]);
                    sums[0][lane] += x * x;
                    sums[1][lane] += y * y;
                    sums[2][lane] += x * y;
                }
            }
            for (total, sums) in totals.iter_mut().zip(&sums) {
                *total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>();
            }
        }
    }
}

vectorized! {
    fn chunk_gradients(to: [&mut [Uninit16]; 2], of: [&[u16]; 2], center: &[f32; CHUNK], across: f32, along: [f32; 2]) {
        let [to_first, to_second] = to.map(|to| to.as_chunks_mut::<CHUNK>().0);
        let [first, second] = of.map(|of| of.as_chunks::<CHUNK>().0);
        for (((to_first, to_second), first), second) in to_first.iter_mut().zip(to_second).zip(first).zip(second) {
            for lane in 0..CHUNK {
                let (x, y) = (widen(first[lane]) - center[lane], widen(second[lane]) - center[lane]);
                to_first[lane].write(narrow(across * y - along[0] * x));
                to_second[lane].write(narrow(across * x - along[1] * y));
            }
        }
    }
}

impl CustomOp1 for MixedPairCosine {
    fn name(&self) -> &'static str {
        OP
    }

    fn cpu_fwd(&self, features: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let features: &[u16] = bytemuck::cast_slice(features.as_slice::<half::bf16>()?);
        let (first, second) = self.halves(features);
        let pairs = first
            .par_chunks_exact(self.sizes.image())
            .zip(second.par_chunks_exact(self.sizes.image()));
        let cosines: Vec<f32> =
            pairs.map(|(x, y)| self.pair(x, y).map_or(0.0, |pair| pair.cosine())).collect();
        let count = cosines.len();
        Ok((CpuStorage::F32(cosines), Shape::from(count)))
    }

    fn bwd(&self, features: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let input = with_numbers(features, |features| {
            with_elements(gradient, |gradient| {
                // SAFETY: the pairs cover both halves, and every chunk's part of them is written.
                Ok(unsafe { written(features.len(), |to| self.gradients(features, gradient, to)) }
                    .0)
            })
        })?;
        self.sizes.tensor(input).map(Some)
    }
}
