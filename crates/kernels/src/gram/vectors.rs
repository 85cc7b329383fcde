//! Loops over the dimensions of a vector that give the same bits at every level of vector
//! instructions.

use super::PANEL;
use crate::simd::vectorized;

/// Vectors interleaved at a time; few enough to stay in the cache after they were normalized.
pub const GROUP: usize = 8;

vectorized! {
    /// Adds a vector to sums, one per dimension; for means over many vectors.
    pub fn add_to_sums(row: &[f32], sums: &mut [f64]) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
}

vectorized! {
    /// Interleaves `units[vector][dimension]`, [`GROUP`] vectors of `width` dimensions, to
    /// `panel[dimension][vector]`, in squares that stay in registers. `panel` begins at the place
    /// of the first vector.
    ///
    /// # Panics
    /// Panics if a slice is too short.
    pub fn interleave(units: &[f32], width: usize, panel: &mut [f32]) {
        let rows: [&[f32]; GROUP] = std::array::from_fn(|vector| &units[vector * width..(vector + 1) * width]);
        let squares = width / GROUP * GROUP;
        for first in (0..squares).step_by(GROUP) {
            let square: [[f32; GROUP]; GROUP] =
                std::array::from_fn(|vector| rows[vector][first..first + GROUP].try_into().expect("as long as a group"));
            for k in 0..GROUP {
                let column: [f32; GROUP] = std::array::from_fn(|vector| square[vector][k]);
                panel[(first + k) * PANEL..][..GROUP].copy_from_slice(&column);
            }
        }
        for k in squares..width {
            for (to, row) in panel[k * PANEL..][..GROUP].iter_mut().zip(&rows) {
                *to = row[k];
            }
        }
    }
}

/// Sums that run in parallel over one vector, which vector instructions add at once in a fixed
/// order.
const LANES: usize = 16;

vectorized! {
    /// Computes `unit = weights (row - means)`, divided by its length, and returns whether it has a
    /// direction, that is, a length above the rounding errors of equal values; if not, `unit` is
    /// unchanged. All slices have equal length; sums are f64.
    pub fn normalize(row: &[f32], means: &[f64], weights: &[f64], unit: &mut [f32]) -> bool {
        let (mut centered, mut raw) = ([0.0f64; LANES], [0.0f64; LANES]);
        let mut add = |lane: usize, value: f32, mean: f64, weight: f64| {
            let value = f64::from(value);
            let (part, whole) = (weight * (value - mean), weight * value);
            centered[lane] += part * part;
            raw[lane] += whole * whole;
        };
        let ((rows, row_rest), (mean, mean_rest), (weight, weight_rest)) =
            (row.as_chunks::<LANES>(), means.as_chunks::<LANES>(), weights.as_chunks::<LANES>());
        for ((row, mean), weight) in rows.iter().zip(mean).zip(weight) {
            for lane in 0..LANES {
                add(lane, row[lane], mean[lane], weight[lane]);
            }
        }
        for (lane, ((value, mean), weight)) in row_rest.iter().zip(mean_rest).zip(weight_rest).enumerate() {
            add(lane, *value, *mean, *weight);
        }
        let (centered, raw) = (centered.iter().sum::<f64>().sqrt(), raw.iter().sum::<f64>().sqrt());
        if centered <= raw * f64::from(f32::EPSILON) {
            return false;
        }
        let inverse = 1.0 / centered;
        for (((unit, value), mean), weight) in unit.iter_mut().zip(row).zip(means).zip(weights) {
            *unit = (weight * (f64::from(*value) - mean) * inverse) as f32;
        }
        true
    }
}
