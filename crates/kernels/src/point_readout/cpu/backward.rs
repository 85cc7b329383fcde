//! The gradients of a batch.

use super::PointReadout;
use super::image::{self, Targets, View};
use crate::simd::Isa;
use crate::uninit::{Uninit, written};
use rayon::prelude::*;

/// Which gradients are requested.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub features: bool,
    pub positions: bool,
    pub weights: bool,
}

/// The gradients; empty if not requested.
pub(super) struct Gradients {
    pub features: Vec<f32>,
    pub positions: Vec<f32>,
    pub weights: Vec<f32>,
}

/// Weights whose sums one thread adds at a time.
const PART: usize = 1 << 13;

pub(super) fn gradients(
    op: &PointReadout,
    features: &[f32],
    positions: &[f32],
    weights: &[f32],
    gradient: &[f32],
    wanted: Wanted,
) -> Gradients {
    let zeros = |wanted: bool, count: usize| if wanted { vec![0.0; count] } else { Vec::new() };
    let mut into_positions = zeros(wanted.positions, positions.len());
    let images = op.stretch();
    let stretches = op.batch.div_ceil(images);
    let isa = Isa::active();
    // If a gradient is not requested, empty parts stand in for the stretches.
    fn parts<T>(values: &mut [T], size: usize, count: usize) -> Vec<&mut [T]> {
        let mut parts: Vec<&mut [T]> = values.chunks_mut(size).collect();
        parts.resize_with(count, Default::default);
        parts
    }
    // SAFETY: the stretches cover all images, and every value of each is written from the sums.
    let (into_features, sums) = unsafe {
        written(
            if wanted.features { features.len() } else { 0 },
            |into_features: &mut [Uninit]| -> Vec<Vec<f32>> {
                parts(into_features, images * op.image(), stretches)
                    .into_par_iter()
                    .zip(parts(&mut into_positions, images * op.neurons * 2, stretches))
                    .zip(features.par_chunks(images * op.image()))
                    .zip(positions.par_chunks(images * op.neurons * 2))
                    .zip(gradient.par_chunks(images * op.neurons))
                    .map(|((((into_features, into_positions), features), positions), gradient)| {
                        let mut into_weights = zeros(wanted.weights, weights.len());
                        let pixels = op.channels_last(features);
                        let mut into_pixels = zeros(wanted.features, features.len());
                        op.for_each_block(features.len() / op.image(), |image, neurons| {
                            let own = image * op.neurons + neurons.start
                                ..image * op.neurons + neurons.end;
                            let of_positions = 2 * own.start..2 * own.end;
                            let of_weights = neurons.start * op.channels..neurons.end * op.channels;
                            let of_pixels = image * op.image()..(image + 1) * op.image();
                            let into = Targets {
                                pixels: into_pixels.get_mut(of_pixels.clone()).unwrap_or_default(),
                                positions: into_positions
                                    .get_mut(of_positions.clone())
                                    .unwrap_or_default(),
                                weights: into_weights
                                    .get_mut(of_weights.clone())
                                    .unwrap_or_default(),
                            };
                            let (pixels, positions, weights) = (
                                &pixels[of_pixels],
                                &positions[of_positions],
                                &weights[of_weights],
                            );
                            image::differentiate(
                                isa,
                                View { op, pixels, positions, weights },
                                &gradient[own],
                                into,
                            );
                        });
                        let images = into_features
                            .chunks_exact_mut(op.image())
                            .zip(into_pixels.chunks_exact(op.image()));
                        images.for_each(|(features, pixels)| {
                            image::channels_first(pixels, features, op.channels)
                        });
                        into_weights
                    })
                    .collect()
            },
        )
    };
    Gradients { features: into_features, positions: into_positions, weights: total(sums) }
}

/// The sum of vectors of equal length, in order.
fn total(sums: Vec<Vec<f32>>) -> Vec<f32> {
    let mut sums = sums.into_iter();
    let mut total = sums.next().unwrap_or_default();
    let rest: Vec<Vec<f32>> = sums.collect();
    total.par_chunks_mut(PART).enumerate().for_each(|(part, total)| {
        for sum in &rest {
            total.iter_mut().zip(&sum[part * PART..]).for_each(|(total, value)| *total += value);
        }
    });
    total
}
