//! The gradients of a batch.

use super::PointReadout;
use super::image::{self, Targets};
use rayon::prelude::*;

/// Which gradients somebody asks for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub features: bool,
    pub positions: bool,
    pub weights: bool,
}

/// Empty where nobody asked.
pub(super) struct Gradients {
    pub features: Vec<f32>,
    pub positions: Vec<f32>,
    pub weights: Vec<f32>,
}

/// Stretches of images, each with its own sum of the weights' gradients; the sums are added in their order. As many
/// whatever the number of threads, and few, since a sum is as large as all weights.
const STRETCHES: usize = 8;
/// Weights whose sums one thread adds up at a time.
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
    let mut into_features = zeros(wanted.features, features.len());
    let mut into_positions = zeros(wanted.positions, positions.len());
    let images = op.batch.div_ceil(STRETCHES);
    let stretches = op.batch.div_ceil(images);
    // Where there is nothing to write to, as many empty parts stand in for the stretches.
    fn parts(values: &mut [f32], size: usize, count: usize) -> Vec<&mut [f32]> {
        let mut parts: Vec<&mut [f32]> = values.chunks_mut(size).collect();
        parts.resize_with(count, Default::default);
        parts
    }
    let sums: Vec<Vec<f32>> = parts(&mut into_features, images * op.image(), stretches)
        .into_par_iter()
        .zip(parts(&mut into_positions, images * op.neurons * 2, stretches))
        .zip(features.par_chunks(images * op.image()))
        .zip(positions.par_chunks(images * op.neurons * 2))
        .zip(gradient.par_chunks(images * op.neurons))
        .map(|((((into_features, into_positions), features), positions), gradient)| {
            let mut into_weights = zeros(wanted.weights, weights.len());
            let mut pixels = vec![0.0; op.image()];
            let mut into_pixels = zeros(wanted.features, op.image());
            let mut into_features = into_features.chunks_exact_mut(op.image());
            let mut into_positions = into_positions.chunks_exact_mut(op.neurons * 2);
            let images = features.chunks_exact(op.image()).zip(positions.chunks_exact(op.neurons * 2));
            for ((features, positions), gradient) in images.zip(gradient.chunks_exact(op.neurons)) {
                image::channels_last(features, &mut pixels, op.channels);
                into_pixels.fill(0.0);
                let positions_target = into_positions.next().unwrap_or_default();
                let mut into = Targets { pixels: &mut into_pixels, positions: positions_target, weights: &mut into_weights };
                image::differentiate(op, &pixels, positions, weights, gradient, &mut into);
                if let Some(target) = into_features.next() {
                    image::channels_first(&into_pixels, target, op.channels);
                }
            }
            into_weights
        })
        .collect();
    Gradients { features: into_features, positions: into_positions, weights: total(sums) }
}

/// The sum of vectors of one length, in their order.
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
