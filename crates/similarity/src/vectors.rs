//! Loops over the responses to an image.

use crate::kernel::PANEL;

/// Images normalised before they are interleaved, few enough for their vectors to stay in cache.
pub(crate) const GROUP: usize = 8;

/// Compiles a loop over slices for the vector units that the processor turns out to have; the order of sums is the same.
macro_rules! dispatched {
    ($name:ident = $body:ident($($argument:ident: $kind:ty),*) $(-> $output:ty)?) => {
        pub(crate) fn $name($($argument: $kind),*) $(-> $output)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
                fn avx512($($argument: $kind),*) $(-> $output)? {
                    $body($($argument),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) $(-> $output)? {
                    $body($($argument),*)
                }
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") {
                    // SAFETY: the processor has these instructions.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has these instructions.
                    return unsafe { avx2($($argument),*) };
                }
            }
            $body($($argument),*)
        }
    };
}

dispatched!(add = add_loop(row: &[f32], sums: &mut [f64]));
dispatched!(interleave = interleave_loop(units: &[f32], width: usize, panel: &mut [f32]));
dispatched!(normalise = normalise_loop(row: &[f32], means: &[f64], weights: &[f64], unit: &mut [f32]) -> bool);

#[inline(always)]
fn add_loop(row: &[f32], sums: &mut [f64]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += f64::from(*value);
    }
}

/// `units[image][dimension]`, [`GROUP`] images, to `panel[dimension][image]`, in squares that stay in registers.
#[inline(always)]
fn interleave_loop(units: &[f32], width: usize, panel: &mut [f32]) {
    let rows: [&[f32]; GROUP] = std::array::from_fn(|image| &units[image * width..(image + 1) * width]);
    let squares = width / GROUP * GROUP;
    for first in (0..squares).step_by(GROUP) {
        let square: [[f32; GROUP]; GROUP] =
            std::array::from_fn(|image| rows[image][first..first + GROUP].try_into().expect("as long as a group"));
        for k in 0..GROUP {
            let column: [f32; GROUP] = std::array::from_fn(|image| square[image][k]);
            panel[(first + k) * PANEL..][..GROUP].copy_from_slice(&column);
        }
    }
    for k in squares..width {
        for (to, row) in panel[k * PANEL..][..GROUP].iter_mut().zip(&rows) {
            *to = row[k];
        }
    }
}

/// Sums that run side by side over one vector, which a vector unit adds at once in an order that is ours.
const LANES: usize = 16;

/// Whether the centred vector has a direction: a norm above what rounding leaves of equal responses.
#[inline(always)]
fn normalise_loop(row: &[f32], means: &[f64], weights: &[f64], unit: &mut [f32]) -> bool {
    let (mut centred, mut raw) = ([0.0f64; LANES], [0.0f64; LANES]);
    let mut add = |lane: usize, value: f32, mean: f64, weight: f64| {
        let value = f64::from(value);
        let (part, whole) = (weight * (value - mean), weight * value);
        centred[lane] += part * part;
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
    let (centred, raw) = (centred.iter().sum::<f64>().sqrt(), raw.iter().sum::<f64>().sqrt());
    if centred <= raw * f64::from(f32::EPSILON) {
        return false;
    }
    let inverse = 1.0 / centred;
    for (((unit, value), mean), weight) in unit.iter_mut().zip(row).zip(means).zip(weights) {
        *unit = (weight * (f64::from(*value) - mean) * inverse) as f32;
    }
    true
}
