//! Pseudorandom numbers and responses, the same in every run, for benchmarks and for `similarity
//! --synthetic`.

use brainprior_similarity::Computed;

/// Responses computed on reading: a few patterns shared by images, plus noise.
pub(crate) fn responses(
    images: usize,
    neurons: usize,
) -> Computed<impl Fn(usize, &mut [f32]) + Sync> {
    Computed::new(images, neurons, move |first, rows: &mut [f32]| {
        for (row, values) in rows.chunks_exact_mut(neurons).enumerate() {
            let image = (first + row) as u64;
            let pattern = mixed(image) % 1000;
            for (neuron, value) in values.iter_mut().enumerate() {
                let unit = |bits: u64| (bits >> 40) as f32 / (1 << 24) as f32;
                let shared = mixed(pattern << 32 | neuron as u64);
                *value = unit(shared)
                    + unit(
                        shared.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                            ^ mixed(image << 32 | neuron as u64),
                    );
            }
        }
    })
}

/// Pseudorandom values in [-1, 1), the same in every run.
pub(crate) fn numbers(count: usize) -> Vec<f32> {
    (0..count as u64).map(|index| (mixed(index) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Pseudorandom bits (the finalizer of SplitMix64).
pub(crate) fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
