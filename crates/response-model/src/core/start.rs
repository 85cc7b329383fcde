//! Initializes first-layer kernels with Gabor filters that resemble mouse V1; training adjusts
//! them.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Highest frequency in cycles per pixel.
const FINEST: f64 = 0.2;
/// Standard deviation of the envelope in cycles.
const WIDTH: f64 = 0.4;

/// `count` zero-mean Gabor filters of unit norm, flat `[count, side, side]`.
///
/// They come in groups of four phases a quarter cycle apart (as the energy model of a complex cell
/// needs), evenly spread over orientation and log frequency, from [`FINEST`] to half a cycle per
/// kernel; `rng` rotates the whole set.
pub(super) fn gabor_bank(count: usize, side: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let groups = count.div_ceil(4);
    let coarsest = (0.6 / side as f64).min(FINEST);
    let (turn, first): (f64, f64) = (rng.random(), rng.random());
    // Multiples of the golden ratio fill the circle evenly, whatever their number.
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let mut bank = Vec::with_capacity(count * side * side);
    for filter in 0..count {
        let group = filter / 4;
        let frequency = coarsest * (FINEST / coarsest).powf((group as f64 + first) / groups as f64);
        let angle = PI * (turn + golden * group as f64).fract();
        let phase = FRAC_PI_2 * (filter % 4) as f64;
        bank.extend(gabor(side, frequency, angle, phase));
    }
    bank
}

fn gabor(side: usize, frequency: f64, angle: f64, phase: f64) -> Vec<f32> {
    let half = (side as f64 - 1.0) / 2.0;
    let sigma = (WIDTH / frequency).min(side as f64 / 4.0);
    let (sin, cos) = angle.sin_cos();
    let pixels = (0..side * side).map(|i| ((i % side) as f64 - half, (i / side) as f64 - half));
    let envelope: Vec<f64> =
        pixels.clone().map(|(x, y)| (-(x * x + y * y) / (2.0 * sigma * sigma)).exp()).collect();
    let wave: Vec<f64> =
        pixels.map(|(x, y)| (TAU * frequency * (x * cos + y * sin) + phase).cos()).collect();
    let offset =
        envelope.iter().zip(&wave).map(|(e, w)| e * w).sum::<f64>() / envelope.iter().sum::<f64>();
    let filter: Vec<f64> = envelope.iter().zip(&wave).map(|(e, w)| e * (w - offset)).collect();
    let norm = filter.iter().map(|v| v * v).sum::<f64>().sqrt();
    filter.iter().map(|v| (v / norm) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn filters_have_unit_norm_no_mean_and_quadrature() {
        let bank = gabor_bank(8, 13, &mut ChaCha8Rng::seed_from_u64(1));
        let filters: Vec<&[f32]> = bank.chunks(169).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        for filter in &filters {
            assert!(
                (dot(filter, filter) - 1.0).abs() < 1e-5 && filter.iter().sum::<f32>().abs() < 1e-4
            );
        }
        for four in filters.chunks(4) {
            assert!(
                dot(four[0], four[1]).abs() < 1e-4 && (dot(four[0], four[2]) + 1.0).abs() < 1e-4
            );
        }
        assert!(dot(filters[0], filters[4]).abs() < 0.9);
    }
}
